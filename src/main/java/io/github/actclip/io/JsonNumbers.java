package io.github.actclip.io;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.deser.std.NumberDeserializers.DoubleDeserializer;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import io.github.actclip.runtime.Internal;
import java.io.IOException;

/**
 * Has Jackson write doubles as every reader of JSON takes them. NaN and the infinities, which JSON
 * lacks, are {@code null}; {@code null} is read as NaN. The texts {@code "NaN"}, {@code
 * "-Infinity"} and {@code "Infinity"}, which Jackson writes by default, are read, too.
 */
@Internal
public final class JsonNumbers extends SimpleModule {

  private static final long serialVersionUID = 1;

  /** A module for {@code JsonMapper.Builder.addModule}. */
  public JsonNumbers() {
    addSerializer(Double.TYPE, new Finite());
    addSerializer(Double.class, new Finite());
    addDeserializer(Double.TYPE, new DoubleDeserializer(Double.TYPE, Double.NaN));
    addDeserializer(Double.class, new DoubleDeserializer(Double.class, Double.NaN));
  }

  private static final class Finite extends StdSerializer<Double> {

    private static final long serialVersionUID = 1;

    private Finite() {
      super(Double.class);
    }

    @Override
    public void serialize(Double value, JsonGenerator json, SerializerProvider provider)
        throws IOException {
      if (Double.isFinite(value)) {
        json.writeNumber(value);
      } else {
        json.writeNull();
      }
    }
  }
}

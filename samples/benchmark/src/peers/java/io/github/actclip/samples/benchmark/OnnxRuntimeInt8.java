package io.github.actclip.samples.benchmark;

import ai.onnxruntime.OrtException;
import io.github.actclip.export.IntegerNetwork;
import io.github.actclip.export.Onnx;
import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.QuantizationMethod;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.TensorScope;
import java.io.IOException;
import java.nio.file.Path;
import org.bytedeco.pytorch.global.torch;

/** The forward pass of Net, exported in integers of 8 bits. */
final class OnnxRuntimeInt8 {

  private static final ActivationOptions EIGHT_BITS =
      ActivationOptions.original().quantized(QuantizationMethod.PACT, 8, 8);

  private OnnxRuntimeInt8() {}

  /** Takes the same, is silent likewise, and for other networks than Net. */
  public static void main(String[] args) throws OrtException, IOException {
    if (!args[4].equals(Architecture.NET.name())) {
      return;
    }
    OnnxRuntime.serve(args, ", int8", OnnxRuntimeInt8::export);
  }

  private static void export(Path file) {
    Net net = new Net(NetOptions.original().with(EIGHT_BITS));
    TensorScope.run(
        () ->
            Onnx.export(
                IntegerNetwork.of(net, torch.rand(16, 3, 32, 32)), file, OnnxRuntime.IMAGES));
  }
}

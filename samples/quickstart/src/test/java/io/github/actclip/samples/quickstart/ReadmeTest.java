package io.github.actclip.samples.quickstart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The Java of the README and of the pages compiles as it stands, given its imports. */
class ReadmeTest {

  private static final Path ROOT = Path.of("../..");
  private static final Pattern JAVA_BLOCK = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);

  /** Names that the pages use without having made them. */
  private static final String SOURCE =
      """
      import static org.bytedeco.pytorch.global.torch.cross_entropy_loss;

      import io.github.actclip.autograd.*;
      import io.github.actclip.data.*;
      import io.github.actclip.data.TensorDataset;
      import io.github.actclip.export.*;
      import io.github.actclip.infer.*;
      import io.github.actclip.io.*;
      import io.github.actclip.nn.*;
      import io.github.actclip.nn.models.*;
      import io.github.actclip.op.*;
      import io.github.actclip.optim.*;
      import io.github.actclip.checkpoint.*;
      import io.github.actclip.report.*;
      import io.github.actclip.runtime.*;
      import io.github.actclip.train.*;
      import java.nio.file.Path;
      import java.time.Duration;
      import java.util.*;
      import java.util.concurrent.*;
      import java.util.function.*;
      import org.bytedeco.javacpp.LongPointer;
      import org.bytedeco.pytorch.*;
      import org.bytedeco.pytorch.Module;
      import org.bytedeco.pytorch.global.torch;

      abstract class Page {
        Tensor x;
        Tensor t;
        Tensor images;
        Tensor labels;
        Net net;
        Conv2dImpl conv;
        Device device;
        DataLoader loader;
        Network network;
        TrainerOptions options;
        Trainer trainer;
        Dataset trainData;
        Dataset testData;
        Tensor data;
        Tensor target;
        float[] pixels;

        void example() {
      %s
        }
      }
      """;

  @TempDir Path classes;

  static Stream<Arguments> blocks() throws IOException {
    List<Arguments> blocks = new ArrayList<>();
    try (Stream<Path> files = Files.list(ROOT.resolve("src/site/markdown"))) {
      Stream<Path> pages = files.filter(file -> file.toString().endsWith(".md")).sorted();
      List<Path> all = Stream.concat(Stream.of(ROOT.resolve("README.md")), pages).toList();
      for (Path page : all) {
        Matcher block = JAVA_BLOCK.matcher(Files.readString(page));
        while (block.find()) {
          blocks.add(Arguments.of(page.getFileName().toString(), block.group(1)));
        }
      }
    }
    return blocks.stream();
  }

  @Test
  void theReadmeAndThePageOnClipsHaveExamples() throws IOException {
    List<Object> pages = blocks().map(block -> block.get()[0]).toList();
    assertTrue(
        pages.containsAll(List.of("README.md", "clips.md", "custom-autograd.md")), pages + "");
  }

  @ParameterizedTest
  @MethodSource("blocks")
  void theExampleCompiles(String page, String block) {
    StringWriter messages = new StringWriter();
    boolean compiled =
        ToolProvider.getSystemJavaCompiler()
            .getTask(
                messages,
                null,
                null,
                List.of(
                    "-Xlint:all",
                    "-Werror",
                    "-proc:none",
                    "-d",
                    classes.toString(),
                    "-cp",
                    System.getProperty("java.class.path")),
                null,
                List.of(source(String.format(Locale.ROOT, SOURCE, block))))
            .call();
    assertEquals("", messages.toString(), page);
    assertTrue(compiled);
  }

  private static JavaFileObject source(String text) {
    return new SimpleJavaFileObject(URI.create("string:///Page.java"), JavaFileObject.Kind.SOURCE) {
      @Override
      public CharSequence getCharContent(boolean ignoreEncodingErrors) {
        return text;
      }
    };
  }
}

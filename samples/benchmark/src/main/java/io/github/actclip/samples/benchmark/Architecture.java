package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.ActivationOptions;
import io.github.actclip.nn.ClipForm;
import io.github.actclip.nn.ClipOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Mlp;
import io.github.actclip.nn.models.MlpOptions;
import io.github.actclip.nn.models.MobileNetV2;
import io.github.actclip.nn.models.MobileNetV2Options;
import io.github.actclip.nn.models.Net;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.nn.models.ResNet;
import io.github.actclip.nn.models.ResNetOptions;
import io.github.actclip.runtime.ActclipException;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;

/**
 * A network that {@code --model} names.
 *
 * @param <T> its options
 * @param imageSize height and width that images of any size are brought to for it
 * @param natural how it clips where nobody says more: as its weights were trained in Python
 * @param type its options' class
 * @param options makes its options
 * @param network makes it, on the CPU
 * @param weightCount how many numbers its weights are
 * @param classes how many it tells apart
 */
public record Architecture<T>(
    String name,
    int imageSize,
    ActivationOptions natural,
    Class<T> type,
    Function<Wanted, T> options,
    Function<T, Network> network,
    ToLongFunction<T> weightCount,
    ToIntFunction<T> classes) {

  /** The question's own. */
  public static final Architecture<NetOptions> NET =
      new Architecture<>(
          "net",
          32,
          ActivationOptions.original(),
          NetOptions.class,
          Architecture::net,
          Net::new,
          NetOptions::weightCount,
          NetOptions::numClasses);

  private static final Architecture<MlpOptions> MLP =
      new Architecture<>(
          "mlp",
          32,
          ActivationOptions.relu(),
          MlpOptions.class,
          Architecture::mlp,
          Mlp::new,
          MlpOptions::weightCount,
          MlpOptions::outFeatures);

  static final Architecture<MobileNetV2Options> MOBILENET_V2 =
      new Architecture<>(
          "mobilenet_v2",
          224,
          ActivationOptions.clip(new ClipOptions(ClipForm.RELU).initial(6)),
          MobileNetV2Options.class,
          Architecture::mobileNet,
          MobileNetV2::new,
          MobileNetV2Options::weightCount,
          MobileNetV2Options::numClasses);

  private static final List<Architecture<?>> ALL =
      List.of(
          NET,
          MLP,
          resNet("resnet20", 32, ResNetOptions::resnet20),
          resNet("resnet18", 224, ResNetOptions::resnet18),
          MOBILENET_V2);

  /** All names, for a sentence. */
  public static final String NAMES =
      ALL.stream().map(Architecture::name).collect(Collectors.joining(", "));

  private static final int MLP_WIDTH = 256;

  /** One of a number of layers. */
  private interface Layers {
    ResNetOptions options(int inChannels, int numClasses);
  }

  private static NetOptions net(Wanted wanted) {
    wanted.withoutWidth("net");
    return new NetOptions(
        wanted.channels(), wanted.imageSize(), wanted.classes(), wanted.activation());
  }

  private static MlpOptions mlp(Wanted wanted) {
    int width = wanted.width(MLP_WIDTH);
    return new MlpOptions(
        wanted.pixels(), List.of(width, width), wanted.classes(), wanted.activation());
  }

  private static Architecture<ResNetOptions> resNet(String name, int imageSize, Layers layers) {
    return new Architecture<>(
        name,
        imageSize,
        ActivationOptions.relu(),
        ResNetOptions.class,
        wanted -> resNet(layers.options(wanted.channels(), wanted.classes()), wanted),
        ResNet::new,
        ResNetOptions::weightCount,
        ResNetOptions::numClasses);
  }

  private static ResNetOptions resNet(ResNetOptions own, Wanted wanted) {
    return new ResNetOptions(
        own.stem(),
        own.blocks(),
        wanted.width(own.width()),
        own.inChannels(),
        own.numClasses(),
        wanted.activation());
  }

  private static MobileNetV2Options mobileNet(Wanted wanted) {
    MobileNetV2Options own = new MobileNetV2Options(wanted.channels(), wanted.classes());
    return new MobileNetV2Options(
        wanted.width().orElse(own.widthMultiplier()),
        own.dropout(),
        own.inChannels(),
        own.numClasses(),
        wanted.activation());
  }

  /** All of them. */
  public static List<Architecture<?>> all() {
    return ALL;
  }

  /**
   * The one of that name, of any case.
   *
   * @throws ActclipException bad input with the nearest name, when there is none
   */
  public static Architecture<?> named(String name) {
    return ALL.stream()
        .filter(one -> one.name.equalsIgnoreCase(name))
        .findFirst()
        .orElseThrow(
            () ->
                ActclipException.badInput(
                    "--model (%s) is none of %s; the nearest is %s", name, NAMES, nearest(name)));
  }

  /** Whether it is one of the names, in any case. */
  public static boolean isKnown(String name) {
    return ALL.stream().anyMatch(one -> one.name.equalsIgnoreCase(name));
  }

  private static String nearest(String name) {
    return ALL.stream()
        .map(Architecture::name)
        .min(Comparator.comparingInt(known -> changes(name.toLowerCase(Locale.ROOT), known)))
        .orElseThrow();
  }

  /** Characters to add, leave out or replace until one text is the other (Levenshtein's). */
  private static int changes(String from, String to) {
    int[] row = new int[to.length() + 1]; // from the first i characters to the first j
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= from.length(); i++) {
      int before = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int replaced = before + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
        before = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j - 1], row[j]));
      }
    }
    return row[to.length()];
  }

  /** Makes it, on the CPU. */
  Network make(Wanted wanted) {
    return network.apply(options.apply(wanted));
  }
}

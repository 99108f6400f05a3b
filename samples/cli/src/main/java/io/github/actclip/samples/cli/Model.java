package io.github.actclip.samples.cli;

import io.github.actclip.io.Json;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.samples.benchmark.Architecture;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A network that can be made, and again from notes.
 *
 * @param <T> its options
 * @param images that it takes
 */
record Model<T>(Architecture<T> architecture, T options, ImageShape images) {

  private static final String NET = "actclip.net";
  private static final String NAME = "actclip.model";
  private static final String OPTIONS = "actclip.network";
  private static final String IMAGES = "actclip.image";

  static Model<NetOptions> net(NetOptions options) {
    return new Model<>(
        Architecture.NET, options, new ImageShape(options.inChannels(), options.imageSize()));
  }

  /** Reads notes; where they say nothing, it is the original {@code Net}. */
  static Model<?> of(Map<String, String> notes, Path from) {
    String name = notes.get(NAME);
    if (name == null) {
      return net(
          notes.containsKey(NET)
              ? read(notes, NET, NetOptions.class, from)
              : NetOptions.original());
    }
    if (name.equals(ScriptNetwork.NAME)) {
      return of(ScriptNetwork.beside(from), notes, from);
    }
    return Architecture.all().stream()
        .filter(one -> one.name().equals(name))
        .findFirst()
        .map(one -> of(one, notes, from))
        .orElseThrow(
            () ->
                ActclipException.badInput(
                    "%s says that it is of the network \"%s\", which is none of %s",
                    from, name, Architecture.NAMES));
  }

  private static <T> Model<T> of(
      Architecture<T> architecture, Map<String, String> notes, Path from) {
    return new Model<>(
        architecture,
        read(notes, OPTIONS, architecture.type(), from),
        read(notes, IMAGES, ImageShape.class, from));
  }

  static <T> T read(Map<String, String> notes, String name, Class<T> type, Path from) {
    return Json.read(
        notes.getOrDefault(name, "null"), type, from + " has a damaged text \"" + name + "\"");
  }

  /** Whether notes say which network they are of. */
  static boolean isIn(Map<String, String> notes) {
    return notes.containsKey(NAME) || notes.containsKey(NET);
  }

  /** What {@link #of} reads. */
  Map<String, String> notes() {
    if (architecture.equals(Architecture.NET)) {
      return Map.of(NET, Json.line(options));
    }
    Map<String, String> notes = new LinkedHashMap<>();
    notes.put(NAME, architecture.name());
    notes.put(OPTIONS, Json.line(options));
    notes.put(IMAGES, Json.line(images));
    return notes;
  }

  /** Makes it, on the CPU; outside of a scope, which would close what it is made of. */
  Network network() {
    return architecture.network().apply(options);
  }

  /** How many numbers its weights are. */
  long weightCount() {
    return architecture.weightCount().applyAsLong(options);
  }

  /** How many classes it tells apart. */
  int classes() {
    return architecture.classes().applyAsInt(options);
  }
}

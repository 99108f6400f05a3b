package io.github.actclip.samples.benchmark;

import io.github.actclip.nn.Network;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Device;

/** Who is measured beside whom. */
final class Contestants {

  private Contestants() {}

  /** Ours first; the caller's scope owns what they are made of. */
  static List<Contestant> of(BenchmarkCase in, Device device) {
    return switch (in.part()) {
      case CLIP -> new ClipContestants(in, device).all();
      case DATA ->
          List.of(
              new TrainingContestant(in, device),
              new NetContestants(in, device).steps(TrainingContestant.LEAST_STEPS));
      case SCALING -> throw new IllegalStateException("scaling has no cases");
      case START_UP -> StartUpContestant.all(in); // on the CPU
      case PREDICT -> predict(in, device);
      case STEP, FORWARD ->
          in.model().equals(Architecture.NET.name()) ? net(in, device) : other(in, device);
    };
  }

  private static List<Contestant> predict(BenchmarkCase in, Device device) {
    Architecture<?> architecture = Architecture.named(in.model());
    Network network = architecture.make(Wanted.small(ModelContestants.clips(architecture)));
    List<Contestant> all = new ArrayList<>(new PredictContestants(in, network, device).all());
    if (device.is_cpu()) {
      all.addAll(ProcessContestant.peers(in));
    }
    return all;
  }

  private static List<Contestant> net(BenchmarkCase in, Device device) {
    List<Contestant> all = new ArrayList<>(new NetContestants(in, device).of(in.part()));
    if (device.is_cpu()) { // All of the others compute there.
      all.addAll(ProcessContestant.all(in));
    }
    return all;
  }

  private static List<Contestant> other(BenchmarkCase in, Device device) {
    List<Contestant> all =
        new ArrayList<>(
            Architecture.isKnown(in.model())
                ? new ModelContestants(in, device).all()
                : new ScriptContestants(in, device).all());
    if (device.is_cpu()) {
      ProcessContestant.python(in).ifPresent(all::add);
      if (Architecture.isKnown(in.model())) {
        all.addAll(ProcessContestant.peers(in));
      }
    }
    return all;
  }
}

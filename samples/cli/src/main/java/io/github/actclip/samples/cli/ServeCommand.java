package io.github.actclip.samples.cli;

import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.runtime.ActclipException;
import io.github.actclip.samples.service.ClipView;
import io.github.actclip.samples.service.Service;
import io.github.actclip.samples.service.ServiceOptions;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Answers over HTTP until it is told to stop. */
@Command(
    name = "serve",
    description = {
      "Answers with a trained network over HTTP, and shows it on a page, until Ctrl-C.",
      "POST an image (image/png, image/jpeg) to /predict; /healthz, /readyz and /metrics are for"
          + " whoever runs it."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false)
final class ServeCommand implements Runnable {

  private static final int MOST_PIXELS = 25_000_000;
  private static final Duration DEADLINE = Duration.ofSeconds(10);

  @Option(
      names = "--model",
      paramLabel = "DIR|FILE",
      required = true,
      description = "The folder that 'train' wrote, or the model.safetensors in it.")
  private Path model;

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "Where it listens; 0 for any that is free (default: ${DEFAULT-VALUE}).")
  private int port;

  @Option(
      names = "--host",
      paramLabel = "NAME",
      defaultValue = "localhost",
      description =
          "At which address; 0.0.0.0 for all, so that other machines can ask (default:"
              + " ${DEFAULT-VALUE}).")
  private String host;

  @Mixin private MachineOptions machine;

  @Override
  public void run() {
    if (port < 0 || port > 65_535) {
      throw ActclipException.badInput("--port (%d) must be 0 to 65535", port);
    }
    TrainedModel trained = TrainedModel.of(model); // what is wrong with it is said before all else
    try (Device device = machine.device();
        Service service = Service.start(ServiceOptions.at(host, port))) {
      Predictor predictor =
          trained.predictor(
              PredictorOptions.builder()
                  .device(device.str().getString())
                  .mostPixels(MOST_PIXELS)
                  .deadline(DEADLINE));
      Network network = trained.saved().network();
      service.serve(predictor, new ClipView(network, predictor.preprocessing()));
      System.out.println("http://" + host + ":" + service.port() + "/");
      awaitSignal();
    }
  }

  private static void awaitSignal() {
    CountDownLatch asked = new CountDownLatch(1);
    Interrupt.onSignal(asked::countDown);
    try {
      asked.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}

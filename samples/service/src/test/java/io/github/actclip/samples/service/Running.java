package io.github.actclip.samples.service;

import io.github.actclip.data.Dataset;
import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.infer.Predictor;
import io.github.actclip.infer.PredictorOptions;
import io.github.actclip.nn.Network;
import io.github.actclip.nn.models.Net;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.runtime.TensorScope;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.util.function.UnaryOperator;
import javax.imageio.ImageIO;
import org.bytedeco.pytorch.Tensor;

/** A service on a free port, of a network as it comes, and images to ask about. */
final class Running implements AutoCloseable {

  private static final int SIDE = 28;
  private static final int PADDED = 32;
  private static final int PADDING = 2;

  final Dataset images = ImageDataset.embedded(Split.TEST);
  final Network network;
  final Service service;
  final Predictor predictor;
  final Client client;

  Running(ServiceOptions options, Network network, UnaryOperator<PredictorOptions.Builder> with) {
    this.network = network;
    predictor =
        Predictor.of(
            network,
            with.apply(PredictorOptions.builder())
                .warmUp()
                .preprocessing(images.preprocessing())
                .build());
    service = Service.start(options);
    service.serve(predictor, new ClipView(new Net(), images.preprocessing()));
    client = new Client(service.port());
  }

  /** With the usual options. */
  static Running of(Network network) {
    return new Running(ServiceOptions.at("localhost", 0), network, options -> options);
  }

  static Net net() {
    LibTorch.load();
    return new Net();
  }

  /** A test image as the network gets it: a batch of one. */
  Tensor data(int index) {
    return images.batch(index).data();
  }

  /** The same as bytes, row by row, the channels of each pixel together. */
  byte[] pixels(int index) {
    byte[] pixels = new byte[3 * PADDED * PADDED];
    TensorScope.run(
        () -> {
          FloatBuffer levels = data(index).permute(0, 2, 3, 1).contiguous().createBuffer();
          for (int i = 0; i < pixels.length; i++) {
            pixels[i] = (byte) Math.round(255 * levels.get(i));
          }
        });
    return pixels;
  }

  /** The same as a file, without the black around it. */
  byte[] file(int index, String format) throws IOException {
    byte[] pixels = pixels(index);
    BufferedImage image = new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_BYTE_GRAY);
    for (int y = 0; y < SIDE; y++) {
      for (int x = 0; x < SIDE; x++) {
        int at = 3 * ((y + PADDING) * PADDED + x + PADDING);
        image.getRaster().setSample(x, y, 0, pixels[at] & 0xff);
      }
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ImageIO.write(image, format, out);
    return out.toByteArray();
  }

  @Override
  public void close() {
    service.close();
  }
}

package com.example.shop;

import io.github.actclip.data.ImageDataset;
import io.github.actclip.data.Split;
import io.github.actclip.infer.Prediction;
import io.github.actclip.infer.Predictor;
import io.github.actclip.nn.models.Net;
import io.github.actclip.op.ClipOp;
import io.github.actclip.optim.OptimizerType;
import io.github.actclip.report.Run;
import io.github.actclip.runtime.LibTorch;
import io.github.actclip.train.Trainer;
import io.github.actclip.train.TrainerOptions;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.nio.file.Path;

/** Trains on the images that the library brings, and asks what a picture shows. */
public final class Shop {

  private Shop() {}

  public static void main(String[] args) {
    Path folder = Path.of(args.length > 0 ? args[0] : "runs/shop");
    LibTorch.load(); // before anything else of LibTorch
    System.out.println("kernels: " + ClipOp.backend());

    TrainerOptions options = TrainerOptions.builder(OptimizerType.SGD).epochs(1).build();
    try (Run run = Run.in(folder)) { // a second start goes on with it, and finds it done
      new Trainer(new Net(), options)
          .with(run)
          .fit(ImageDataset.embedded(Split.TRAIN), ImageDataset.embedded(Split.TEST));
    }

    try (Predictor predictor = Predictor.load(folder, Net::new)) {
      Prediction.Ranked top = predictor.predict(trousers()).top();
      System.out.println("prediction: " + top.label() + ", " + top.probability());
    }
  }

  private static BufferedImage trousers() {
    BufferedImage image = new BufferedImage(28, 28, BufferedImage.TYPE_BYTE_GRAY);
    Graphics2D pen = image.createGraphics();
    pen.setColor(Color.WHITE);
    pen.fillRect(9, 1, 10, 8);
    pen.fillRect(9, 9, 4, 18);
    pen.fillRect(15, 9, 4, 18);
    pen.dispose();
    return image;
  }
}

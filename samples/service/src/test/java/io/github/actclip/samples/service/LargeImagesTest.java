package io.github.actclip.samples.service;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Images that are small as files, and as pixels more than the memory when they come together. */
class LargeImagesTest {

  private static final int SIDE = 5000;
  private static final int TOGETHER = 12;

  @Test
  @Timeout(120)
  void imagesThatComeTogetherAreDecodedAFewAtATime() throws Exception {
    ByteArrayOutputStream image = new ByteArrayOutputStream();
    ImageIO.write(new BufferedImage(SIDE, SIDE, BufferedImage.TYPE_3BYTE_BGR), "png", image);
    ExecutorService callers = Executors.newFixedThreadPool(TOGETHER);
    try (Running running = Running.of(Running.net())) {
      List<Future<Integer>> statuses = new ArrayList<>();
      for (int i = 0; i < TOGETHER; i++) {
        statuses.add(
            callers.submit(
                () ->
                    running
                        .client
                        .post("/predict", "image/png", image.toByteArray())
                        .statusCode()));
      }
      for (Future<Integer> status : statuses) {
        assertEquals(200, status.get());
      }
    } finally {
      callers.shutdown();
    }
  }
}

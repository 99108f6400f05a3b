package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.nn.ActivationStatistics;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.PhaseSeconds;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class CsvTest {

  @Test
  void aLineOfNamesThenALineAnEpoch() {
    PhaseSeconds seconds = new PhaseSeconds(1, 2, 3, 4, 0.5);
    EpochMetrics epoch =
        new EpochMetrics(
            1,
            63,
            0.05,
            new TreeMap<>(Map.of("loss", 1.5, "mae", 0.5)),
            new TreeMap<>(Map.of("loss", 1.25, "mae", 0.625)),
            Map.of("clip.max", new ActivationStatistics(2.5, -1e-9, 0.125, List.of(1L, 2L))),
            1e7,
            seconds);
    assertEquals(
        """
        epoch,step,learning_rate,train_loss,train_mae,test_loss,test_mae,clip.max,\
        clip.max_clip_rate,clip.max_gradient,samples_per_second,seconds_data,seconds_forward,\
        seconds_backward,seconds_optimizer,seconds_other
        1,63,0.05,1.5,0.5,1.25,0.625,2.5,0.125,-1.0E-9,1.0E7,1.0,2.0,3.0,4.0,0.5
        1,63,0.05,1.5,0.5,1.25,0.625,2.5,0.125,-1.0E-9,1.0E7,1.0,2.0,3.0,4.0,0.5
        """,
        Csv.table(List.of(epoch, epoch)));
  }
}

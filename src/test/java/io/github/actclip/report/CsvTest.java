package io.github.actclip.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.PhaseSeconds;
import java.util.List;
import org.junit.jupiter.api.Test;

class CsvTest {

  @Test
  void aLineOfNamesThenALineAnEpoch() {
    PhaseSeconds seconds = new PhaseSeconds(1, 2, 3, 4, 0.5);
    EpochMetrics epoch =
        new EpochMetrics(
            1, 63, 0.05, 1.5, 0.5, 1.25, 0.625, 2.5, 0.125, -1e-9, 1e7, seconds, List.of(1L, 2L));
    assertEquals(
        """
        epoch,step,learning_rate,train_loss,train_accuracy,test_loss,test_accuracy,act_max,\
        clip_rate,threshold_gradient,images_per_second,seconds_data,seconds_forward,\
        seconds_backward,seconds_optimizer,seconds_other
        1,63,0.05,1.5,0.5,1.25,0.625,2.5,0.125,-1.0E-9,1.0E7,1.0,2.0,3.0,4.0,0.5
        1,63,0.05,1.5,0.5,1.25,0.625,2.5,0.125,-1.0E-9,1.0E7,1.0,2.0,3.0,4.0,0.5
        """,
        Csv.table(List.of(epoch, epoch)));
  }
}

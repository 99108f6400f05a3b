package io.github.actclip.report;

import io.github.actclip.nn.models.NetOptions;
import io.github.actclip.runtime.RuntimeInfo;
import io.github.actclip.train.EpochMetrics;
import io.github.actclip.train.TrainerOptions;

/**
 * What a training was and what it came to: {@code summary.json}.
 *
 * @param data where the images came from: {@code embedded} or a folder
 * @param dataName what they are
 * @param trainImages how many the network was trained on
 * @param testImages how many it was tested on
 * @param device where it ran
 * @param net the network's shape
 * @param options how it was trained
 * @param environment what it ran on
 * @param stopped whether it was ended before its last step
 * @param last the last epoch's numbers, which are those of the saved network
 */
public record RunSummary(
    String data,
    String dataName,
    int trainImages,
    int testImages,
    String device,
    NetOptions net,
    TrainerOptions options,
    RuntimeInfo environment,
    boolean stopped,
    EpochMetrics last) {

  /** How many steps an epoch of the training has. */
  long stepsPerEpoch() {
    return options.stepsPerEpoch(trainImages);
  }
}

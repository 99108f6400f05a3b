package io.github.actclip.nn;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** How the number that is learned becomes a threshold. */
public enum Parameterization {
  /** As it is; it may become negative. */
  RAW {
    @Override
    Tensor value(Tensor raw) {
      return raw;
    }

    @Override
    Tensor inverse(Tensor value) {
      return value;
    }
  },
  /** |raw|: never negative, but it may bounce at 0. */
  ABS {
    @Override
    Tensor value(Tensor raw) {
      return raw.abs();
    }

    @Override
    Tensor inverse(Tensor value) {
      return value;
    }
  },
  /** ln(1 + e^raw): above 0, and almost raw itself for large values. */
  SOFTPLUS {
    @Override
    Tensor value(Tensor raw) {
      return torch.log_sigmoid(raw.neg()).neg();
    }

    @Override
    Tensor inverse(Tensor value) {
      return value.neg().expm1().neg().log().add(value);
    }
  },
  /** e^raw: above 0; a step changes it by a share of itself. */
  EXP {
    @Override
    Tensor value(Tensor raw) {
      return raw.exp();
    }

    @Override
    Tensor inverse(Tensor value) {
      return value.log();
    }
  },
  /** 2^raw, as TQT trains its thresholds (arXiv 1903.08066, section 3.2). */
  LOG2 {
    @Override
    Tensor value(Tensor raw) {
      return raw.exp2();
    }

    @Override
    Tensor inverse(Tensor value) {
      return value.log2();
    }
  };

  /** The threshold, differentiable by {@code raw}. */
  abstract Tensor value(Tensor raw);

  /** The raw numbers of thresholds, which are above 0 unless this is {@link #RAW}. */
  abstract Tensor inverse(Tensor value);

  /** What weight decay is to pull towards 0: where the raw number's 0 is another, the threshold. */
  Threshold.Decay decay() {
    return this == RAW || this == ABS ? Threshold.Decay.PARAMETER : Threshold.Decay.VALUE;
  }
}

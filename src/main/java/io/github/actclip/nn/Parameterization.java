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
    double inverse(double value) {
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
    double inverse(double value) {
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
    double inverse(double value) {
      return value + Math.log(-Math.expm1(-value));
    }
  },
  /** e^raw: above 0; a step changes it by a share of itself. */
  EXP {
    @Override
    Tensor value(Tensor raw) {
      return raw.exp();
    }

    @Override
    double inverse(double value) {
      return Math.log(value);
    }
  },
  /** 2^raw, as TQT trains its thresholds (arXiv 1903.08066, section 3.2). */
  LOG2 {
    @Override
    Tensor value(Tensor raw) {
      return raw.exp2();
    }

    @Override
    double inverse(double value) {
      return Math.log(value) / Math.log(2);
    }
  };

  /** The threshold, differentiable by {@code raw}. */
  abstract Tensor value(Tensor raw);

  /** The raw number of a threshold, which is above 0 unless this is {@link #RAW}. */
  abstract double inverse(double value);
}

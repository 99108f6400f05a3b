package io.github.actclip.nn;

/** The forms of a {@link Clip}; formulas and gradients are on the page on clips. */
public enum ClipForm {
  /** where(x > max, max, x). */
  TIED,
  /** clip(x, 0, max): the tied clip with ReLU folded in. */
  RELU,
  /** clip(x, min, max), both learned. */
  TWO_SIDED,
  /** x up to {@code cut}, {@code value} above it. */
  UNTIED,
  /** max − softplus(β(max − x))/β. */
  SOFT,
  /** (x + bias) where x > cut, else 0. */
  GENERALIZED_RELU,
  /** {@code x[x > max] = max}, as the question first did: to see what autograd makes of it. */
  IN_PLACE,
  /** x: nothing is clipped and nothing learned, which leaves the ReLU before it. */
  NONE;

  /** The form with the same outputs: they differ in gradients only. */
  ClipForm computes() {
    return this == IN_PLACE ? TIED : this;
  }

  /** Whether the form takes the place of the ReLU before it. */
  public boolean rectifies() {
    return this == RELU || this == TWO_SIDED || this == GENERALIZED_RELU;
  }
}

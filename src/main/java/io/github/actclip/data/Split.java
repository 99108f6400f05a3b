package io.github.actclip.data;

/** Which part of a data set. */
public enum Split {
  /** The images that a network learns from. */
  TRAIN,
  /** The images that it is judged by. */
  TEST
}

package io.github.actclip.report;

/** How large a {@link Plot} is, in pixels, where the page has room for it. */
enum PlotSize {
  WIDE(520, 260),
  NARROW(340, 260),
  SMALL(240, 140);

  private final int width;
  private final int height;

  PlotSize(int width, int height) {
    this.width = width;
    this.height = height;
  }

  int width() {
    return width;
  }

  int height() {
    return height;
  }
}

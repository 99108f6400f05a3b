namespace actclip {
namespace {
float twice(float x) { return x + x; }
}  // namespace
const Kernels& ACTCLIP_KERNELS() {
  static const Kernels kernels{ACTCLIP_NAME, twice};
  return kernels;
}
}  // namespace actclip

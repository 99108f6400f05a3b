// Defines the operations when the library is loaded, and registers their kernels for the CPU.
#include "torch/boxed.h"

namespace actclip {
namespace {

void define_operations() {
  TorchLibraryHandle made = nullptr;
  check(aoti_torch_library_init_def("actclip", kSource, __LINE__, &made), "define operations");
  Registration library(made);
  const char* const schemas[] = {
      "clip(Tensor x, Tensor hi, Tensor? lo=None, Tensor? value=None, bool relu=False) -> Tensor",
      "clip_backward(Tensor g, Tensor x, Tensor hi, Tensor? lo=None, Tensor? value=None,"
      " bool relu=False) -> (Tensor, Tensor, Tensor)",
      "clip_statistics(Tensor g, Tensor x, Tensor hi, Tensor? lo=None, bool relu=False) -> Tensor",
      "max_pool_clip(Tensor x, Tensor t, bool relu=True) -> (Tensor, Tensor)",
      "max_pool_clip_backward(Tensor g, Tensor codes, Tensor t, int height, int width,"
      " bool channels_last) -> (Tensor, Tensor)",
      "fake_quantize(Tensor x, Tensor scale, Tensor offset, int low, int high) -> Tensor",
      "fake_quantize_backward(Tensor g, Tensor x, Tensor scale, Tensor offset, int low, int high,"
      " int scale_gradient) -> (Tensor, Tensor, Tensor)",
  };
  for (const char* schema : schemas) {
    check(aoti_torch_library_def(library.get(), schema), "define ", schema);
  }
  register_kernels<Cpu>("CPU");
  library.keep();
}

// Another copy of this library may have defined the operations.
const std::string error = error_of(define_operations);

}  // namespace

const std::string& registration_error() { return error; }

}  // namespace actclip

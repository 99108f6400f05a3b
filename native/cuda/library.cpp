// Registers the kernels for CUDA when the library is loaded, and hands them to Java.
#include <jni.h>

#include "torch/boxed.h"

namespace actclip {
namespace {

const bool registered = [] {
  register_kernels<Cuda>("CUDA");
  return true;
}();

}  // namespace
}  // namespace actclip

extern "C" JNIEXPORT jlong JNICALL
Java_io_github_actclip_op_NativeKernels_cuda(JNIEnv*, jclass) {
  return reinterpret_cast<jlong>(&actclip::kOperations<actclip::Cuda>);
}

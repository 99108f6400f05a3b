// Registers the kernels for CUDA when the library is loaded, and hands them to Java.
#include <jni.h>

#include "torch/boxed.h"

namespace actclip {
namespace {

// Runs when the library is loaded, from where an exception would end the process.
const bool registered = [] {
  try {
    register_kernels<Cuda>("CUDA");
    return true;
  } catch (const std::exception&) {
    return false;
  }
}();

}  // namespace
}  // namespace actclip

extern "C" JNIEXPORT jlong JNICALL
Java_io_github_actclip_op_NativeKernels_cuda(JNIEnv*, jclass) {
  return actclip::registered ? reinterpret_cast<jlong>(&actclip::kOperations<actclip::Cuda>) : 0;
}

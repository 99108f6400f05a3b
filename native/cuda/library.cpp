// Registers the kernels for CUDA when the library is loaded, and hands them to Java.
#include "torch/boxed.h"
#include "torch/java.h"

namespace {

const std::string error = actclip::error_of([] { actclip::register_kernels<actclip::Cuda>("CUDA"); });

}  // namespace

extern "C" {

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) { return actclip::loaded(vm, error); }

JNIEXPORT jlong JNICALL Java_io_github_actclip_op_NativeKernels_cuda(JNIEnv*, jclass) {
  return reinterpret_cast<jlong>(&actclip::kOperations<actclip::Cuda>);
}

}  // extern "C"

#include <jni.h>

#include <cstdint>

#include "kernels.h"
int32_t float32();
extern "C" JNIEXPORT jstring JNICALL
Java_io_github_actclip_op_NativeKernels_instructions(JNIEnv* env, jclass) {
  return env->NewStringUTF(float32() < 0 ? "" : actclip::kernels().name);
}

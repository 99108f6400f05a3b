// What both libraries need to be called from Java.
#pragma once

#include <jni.h>

#include <exception>
#include <new>
#include <string>

namespace actclip {

// Where there is no such class, the exception that says so is pending.
inline void raise(JNIEnv* env, const char* type, const char* message) {
  jclass const exception = env->FindClass(type);
  if (exception != nullptr) {
    env->ThrowNew(exception, message);
  }
}

// No exception may pass from C++ into the JVM.
template <typename Task>
void guarded(JNIEnv* env, const Task& task) {
  constexpr char kType[] = "java/lang/RuntimeException";
  try {
    task();
  } catch (const std::bad_alloc&) {
    raise(env, kType, "there is not enough memory");
  } catch (const std::exception& e) {
    raise(env, kType, e.what());
  } catch (...) {
    raise(env, kType, "native code failed for an unknown reason");
  }
}

// What a library's JNI_OnLoad does. The exception that is pending then comes out of System.load.
inline jint loaded(JavaVM* vm, const std::string& error) {
  void* env = nullptr;
  if (vm->GetEnv(&env, JNI_VERSION_1_8) != JNI_OK) {
    return JNI_ERR;
  }
  if (!error.empty()) {
    raise(static_cast<JNIEnv*>(env), "java/lang/UnsatisfiedLinkError", error.c_str());
  }
  return JNI_VERSION_1_8;
}

}  // namespace actclip

// What Java calls. The entries of io.github.actclip.op.NativeKernels: a tensor is given as the
// address of an at::Tensor, which is what a handle of the stable ABI is.
#include "torch/java.h"

#ifdef __linux__
#include <dlfcn.h>
#include <link.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "cpu/kernels.h"
#include "torch/boxed.h"
#include "torch/conv_norm.h"
#include "torch/convolution.h"
#include "torch/in_place.h"
#include "torch/norm.h"
#include "torch/ops.h"
#include "torch/small.h"
#include "torch/suitable.h"

namespace actclip {
namespace {

AtenTensorHandle handle(jlong address) { return reinterpret_cast<AtenTensorHandle>(address); }

View view(jlong address) { return View(handle(address)); }

// Those of the library for CUDA, once Java has loaded and tried it.
std::atomic<const Operations*> cuda_operations{nullptr};

// Null when there are no kernels for a tensor's device.
const Operations* find_operations(const View& x) {
  if (x.device_type == aoti_torch_device_type_cpu()) {
    return &kOperations<Cpu>;
  }
  return x.device_type == aoti_torch_device_type_cuda() ? cuda_operations.load() : nullptr;
}

const Operations& on_device_of(const View& x) {
  const Operations* const found = find_operations(x);
  if (found == nullptr) {
    throw std::runtime_error("there are no kernels for the device of the activations");
  }
  return *found;
}

void assign(const Tensor& from, jlong to) {
  check(aoti_torch_assign_tensors(from.get(), handle(to)), "hand over a tensor");
}

// Where there is one.
void hand_over(const Tensor& from, jlong to) {
  if (from.get() != nullptr) {
    assign(from, to);
  }
}

#ifdef __GLIBC__
constexpr int kLargestOfArena = 32 << 20;  // what glibc takes at most
constexpr int kKept = 128 << 20;
constexpr int kDefaultKept = 128 << 10;  // glibc's own

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, kLargestOfArena);
  mallopt(M_TRIM_THRESHOLD, kKept);
  // A thread's arena consists of heaps of 64 MiB. The last of them goes back as soon as it is empty,
  // whatever the threshold, unless what is free at the end of the one before is less than this.
  mallopt(M_TOP_PAD, kLargestOfArena);
}
#endif

// A function of every libopenblas in the process: JavaCPP's presets load two, and reach one.
template <typename Function>
std::vector<Function*> of_every_blas(const char* name) {
  std::vector<Function*> functions;
#ifdef __linux__
  std::vector<std::string> files;
  const int failed = dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* to) {
        try {
          static_cast<std::vector<std::string>*>(to)->emplace_back(info->dlpi_name);
          return 0;
        } catch (const std::bad_alloc&) {
          return 1;
        }
      },
      &files);
  if (failed != 0) {
    throw std::bad_alloc();
  }
  for (const std::string& file : files) {
    if (file.find("/libopenblas") == std::string::npos) {
      continue;
    }
    void* const library = dlopen(file.c_str(), RTLD_LAZY | RTLD_NOLOAD);
    if (library == nullptr) {
      continue;
    }
    if (void* const function = dlsym(library, name)) {
      functions.push_back(reinterpret_cast<Function*>(function));
    }
    dlclose(library);
  }
#else
  static_cast<void>(name);
#endif
  return functions;
}

// What LibTorch cannot even tell about does not suit.
template <typename Question>
jboolean answer(const Question& question) {
  try {
    return question() ? JNI_TRUE : JNI_FALSE;
  } catch (...) {
    return JNI_FALSE;
  }
}

}  // namespace
}  // namespace actclip

using actclip::answer;
using actclip::assign;
using actclip::guarded;
using actclip::hand_over;
using actclip::handle;
using actclip::Offer;
using actclip::of_every_blas;
using actclip::on_device_of;
using actclip::view;

extern "C" {

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void*) {
  return actclip::loaded(vm, actclip::registration_error());
}

JNIEXPORT void JNICALL
Java_io_github_actclip_runtime_KernelLibrary_setBlasThreads(JNIEnv* env, jclass, jint threads) {
  guarded(env, [&] {
    for (auto* const set : of_every_blas<void(int)>("openblas_set_num_threads")) {
      set(threads);
    }
  });
}

JNIEXPORT jint JNICALL
Java_io_github_actclip_runtime_KernelLibrary_mostBlasThreads(JNIEnv* env, jclass) {
  int most = 0;
  guarded(env, [&] {
    for (auto* const get : of_every_blas<int()>("openblas_get_num_threads")) {
      most = std::max(most, get());
    }
  });
  return most;
}

JNIEXPORT jstring JNICALL
Java_io_github_actclip_op_NativeKernels_cpuCapability(JNIEnv* env, jclass) {
  return env->NewStringUTF(actclip::cpu::name(actclip::cpu::best_target()));
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_useCuda(
    JNIEnv*, jclass, jlong operations) {
  actclip::cuda_operations = reinterpret_cast<const actclip::Operations*>(operations);
}

JNIEXPORT jboolean JNICALL Java_io_github_actclip_op_NativeKernels_suit(
    JNIEnv*, jclass, jlong x, jlong a, jlong b, jlong c) {
  return answer([&] {
    return x != 0 && a != 0 &&
        actclip::suit_kernels(
            handle(x), {handle(a), handle(b), handle(c)}) &&
        actclip::find_operations(view(x)) != nullptr;
  });
}

JNIEXPORT jboolean JNICALL Java_io_github_actclip_op_NativeKernels_suitsAsGradient(
    JNIEnv*, jclass, jlong g, jlong x) {
  return answer([&] {
    return actclip::suits_as_gradient(handle(g), handle(x));
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_clip(
    JNIEnv* env, jclass, jlong x, jlong hi, jlong lo, jlong value, jboolean relu, jlong y) {
  guarded(env, [&] {
    const Offer offer(handle(y));
    const auto of_x = view(x);
    assign(on_device_of(of_x).clip(of_x, {view(hi), view(lo), view(value), relu != 0}), y);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_clipFew(
    JNIEnv* env, jclass, jlong x, jlong t, jboolean relu, jlong limit, jlong y) {
  guarded(env, [&] {
    const actclip::Tensor clipped = actclip::clip_small(
        handle(x), handle(t), relu != 0, limit);
    if (clipped.get() != nullptr) {
      assign(clipped, y);
    }
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_clipBackward(
    JNIEnv* env, jclass, jlong g, jlong x, jlong hi, jlong lo, jlong value, jboolean relu,
    jlong gx, jlong ghi, jlong glo) {
  guarded(env, [&] {
    const Offer offer(handle(gx));
    const auto of_x = view(x);
    const auto gradients = on_device_of(of_x).clip_backward(
        view(g), of_x, {view(hi), view(lo), view(value), relu != 0});
    assign(gradients.x, gx);
    assign(gradients.hi, ghi);
    if (lo != 0) {
      assign(gradients.lo, glo);
    }
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_clipStatistics(
    JNIEnv* env, jclass, jlong g, jlong x, jlong hi, jlong lo, jboolean relu, jlong statistics) {
  guarded(env, [&] {
    const auto of_x = view(x);
    assign(
        on_device_of(of_x).clip_statistics(
            view(g), of_x, {view(hi), view(lo), view(0), relu != 0}),
        statistics);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_maxPoolClip(
    JNIEnv* env, jclass, jlong x, jlong t, jboolean relu, jlong y, jlong codes) {
  guarded(env, [&] {
    const auto of_x = view(x);
    const auto pooled = on_device_of(of_x).max_pool_clip(of_x, view(t), relu != 0);
    assign(pooled.y, y);
    assign(pooled.codes, codes);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_convMaxPoolClip(
    JNIEnv* env, jclass, jlong x, jlong weight, jlong bias, jlong t, jlong y, jlong codes) {
  guarded(env, [&] {
    const auto pooled =
        actclip::conv_max_pool_clip(handle(x), handle(weight), handle(bias), handle(t), codes != 0);
    if (pooled.y.get() != nullptr) {
      assign(pooled.y, y);
      if (codes != 0) {
        assign(pooled.codes, codes);
      }
    }
  });
}

JNIEXPORT jboolean JNICALL Java_io_github_actclip_op_NativeKernels_suitConvolution(
    JNIEnv*, jclass, jlong x, jlong weight, jlong bias, jlong t, jboolean gradients, jboolean by_x) {
  return answer([&] {
    return actclip::suit_convolution(
        handle(x), handle(weight), handle(bias), handle(t), gradients != 0, by_x != 0);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_convMaxPoolClipBackward(
    JNIEnv* env, jclass, jlong g, jlong codes, jlong x, jlong weight, jlong t, jlong gx,
    jlong gweight, jlong gbias, jlong gt) {
  guarded(env, [&] {
    const auto gradients = actclip::conv_max_pool_clip_backward(
        view(g), view(codes), handle(x), handle(weight), handle(t), gx != 0, gweight != 0);
    if (gx != 0) {
      assign(gradients.x, gx);
    }
    if (gweight != 0) {
      assign(gradients.weight, gweight);
    }
    assign(gradients.bias, gbias);
    if (gt != 0) {
      assign(gradients.t, gt);
    }
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_maxPoolClipBackward(
    JNIEnv* env, jclass, jlong g, jlong codes, jlong t, jlong height, jlong width,
    jboolean channels_last, jlong gx, jlong gt) {
  guarded(env, [&] {
    const auto of_g = view(g);
    const auto gradients = on_device_of(of_g).max_pool_clip_backward(
        of_g, view(codes), view(t), {height, width, channels_last != 0});
    assign(gradients.x, gx);
    assign(gradients.t, gt);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_fakeQuantize(
    JNIEnv* env, jclass, jlong x, jlong scale, jlong offset, jlong low, jlong high, jlong y) {
  guarded(env, [&] {
    const Offer offer(handle(y));
    const auto of_x = view(x);
    assign(on_device_of(of_x).fake_quantize(of_x, {view(scale), view(offset), low, high}), y);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_fakeQuantizeBackward(
    JNIEnv* env, jclass, jlong g, jlong x, jlong scale, jlong offset, jlong low, jlong high,
    jlong scale_gradient, jlong gx, jlong gscale, jlong goffset) {
  guarded(env, [&] {
    const Offer offer(handle(gx));
    const auto of_x = view(x);
    const auto gradients = on_device_of(of_x).fake_quantize_backward(
        view(g), of_x, {view(scale), view(offset), low, high},
        actclip::scale_gradient_of(scale_gradient));
    assign(gradients.x, gx);
    assign(gradients.scale, gscale);
    assign(gradients.offset, goffset);
  });
}

JNIEXPORT jboolean JNICALL Java_io_github_actclip_op_NativeKernels_suitInPlace(
    JNIEnv*, jclass, jlong x, jlong first, jlong second) {
  return answer([&] { return actclip::suit_in_place(handle(x), handle(first), handle(second)); });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_limitInPlace(
    JNIEnv* env, jclass, jlong x, jlong first, jlong second, jlong high, jlong fates) {
  guarded(env, [&] {
    hand_over(
        actclip::limit_in_place(view(x), {view(first), view(second), high}, fates != 0), fates);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_limitInPlaceBackward(
    JNIEnv* env, jclass, jlong g, jlong fates, jlong first, jlong second, jlong high, jlong gx,
    jlong gfirst) {
  guarded(env, [&] {
    const Offer offer(handle(gx));
    const auto gradients = actclip::limit_in_place_backward(
        view(g), view(fates), {view(first), view(second), high});
    assign(gradients.x, gx);
    assign(gradients.limit, gfirst);
  });
}

JNIEXPORT jboolean JNICALL Java_io_github_actclip_op_NativeKernels_suitNorm(
    JNIEnv*, jclass, jlong x, jlong addend, jlong weight, jlong bias, jlong mean, jlong variance,
    jlong first, jlong second) {
  return answer([&] {
    return actclip::suit_norm(
        handle(x), handle(addend), {handle(weight), handle(bias), handle(mean), handle(variance)},
        handle(first), handle(second));
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_normLimit(
    JNIEnv* env, jclass, jlong x, jlong addend, jlong weight, jlong bias, jlong mean,
    jlong variance, jdouble momentum, jdouble eps, jboolean training, jlong first, jlong second,
    jlong high, jlong y, jlong fates, jlong statistics) {
  guarded(env, [&] {
    const Offer offer(handle(y));
    const auto normed = actclip::norm_limit(
        view(x), view(addend),
        {view(weight), view(bias), view(mean), view(variance), momentum, eps, training != 0},
        {view(first), view(second), high}, fates != 0);
    assign(normed.y, y);
    hand_over(normed.fates, fates);
    hand_over(normed.statistics, statistics);
  });
}

JNIEXPORT jboolean JNICALL Java_io_github_actclip_op_NativeKernels_suitConvNorm(
    JNIEnv*, jclass, jlong x, jlong kernel, jlong stride, jlong padding, jlong addend, jlong weight,
    jlong bias, jlong mean, jlong variance, jlong t) {
  return answer([&] {
    return actclip::suit_conv_norm(
        handle(x), handle(kernel), {stride, padding}, handle(addend),
        {handle(weight), handle(bias), handle(mean), handle(variance)}, handle(t));
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_convNormClip(
    JNIEnv* env, jclass, jlong x, jlong kernel, jlong stride, jlong padding, jlong addend,
    jlong weight, jlong bias, jlong mean, jlong variance, jdouble eps, jlong t, jlong y) {
  guarded(env, [&] {
    assign(
        actclip::conv_norm_clip(
            view(x), view(kernel), {stride, padding}, view(addend),
            {view(weight), view(bias), view(mean), view(variance), 0, eps, false}, view(t)),
        y);
  });
}

JNIEXPORT void JNICALL Java_io_github_actclip_op_NativeKernels_normLimitBackward(
    JNIEnv* env, jclass, jlong g, jlong fates, jlong x, jlong statistics, jlong weight, jlong first,
    jlong second, jlong high, jlong gx, jlong gaddend, jlong gweight, jlong gbias, jlong gfirst) {
  guarded(env, [&] {
    const Offer offer(handle(gx));
    const auto gradients = actclip::norm_limit_backward(
        view(g), view(fates), view(x), view(statistics), view(weight),
        {view(first), view(second), high}, gaddend != 0);
    assign(gradients.x, gx);
    hand_over(gradients.addend, gaddend);
    assign(gradients.weight, gweight);
    assign(gradients.bias, gbias);
    assign(gradients.limit, gfirst);
  });
}

// The entries of io.github.actclip.runtime.KernelLibrary.
JNIEXPORT void JNICALL
Java_io_github_actclip_runtime_KernelLibrary_keepFreedMemory(JNIEnv*, jclass) {
#ifdef __GLIBC__
  actclip::keep_freed_memory();
#endif
}

// malloc_trim leaves what lies at the end of a thread's arena. That of the calling thread, which
// ran the steps, goes back when a block of 64 KiB or more is freed while nothing is to be kept.
JNIEXPORT void JNICALL
Java_io_github_actclip_runtime_KernelLibrary_trimFreedMemory(JNIEnv*, jclass) {
#ifdef __GLIBC__
  malloc_trim(0);
  mallopt(M_TRIM_THRESHOLD, actclip::kDefaultKept);
  mallopt(M_TOP_PAD, 0);
  void* volatile block = malloc(actclip::kDefaultKept);
  free(block);
  actclip::keep_freed_memory();
#endif
}

// The entries of io.github.actclip.autograd.WeakReferenceOfPeer. JavaCPP's peers are subclasses of
// the C++ class whose first own member is the reference; of a class without members, it stands
// behind the pointer to the virtual functions. The JVM tells whether it is that: it may be asked
// about any word (JNI's GetObjectRefType knows JNIInvalidRefType).
JNIEXPORT jlong JNICALL Java_io_github_actclip_autograd_WeakReferenceOfPeer_find(
    JNIEnv* env, jclass, jlong peer, jobject object) {
  jobject reference = nullptr;
  std::memcpy(
      &reference, reinterpret_cast<const char*>(peer) + sizeof(void*), sizeof(reference));
  const bool found = env->GetObjectRefType(reference) == JNIWeakGlobalRefType &&
      env->IsSameObject(reference, object);
  return found ? reinterpret_cast<jlong>(reference) : 0;
}

JNIEXPORT void JNICALL Java_io_github_actclip_autograd_WeakReferenceOfPeer_delete(
    JNIEnv* env, jclass, jlong reference) {
  env->DeleteWeakGlobalRef(reinterpret_cast<jweak>(reference));
}

}  // extern "C"

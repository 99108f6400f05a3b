// Launching kernels where a tensor is.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>

#include "torch/tensor.h"

extern "C" {

struct DeviceGuardOpaque;

AOTITorchError aoti_torch_create_device_guard(int32_t device_index, DeviceGuardOpaque**);
AOTITorchError aoti_torch_delete_device_guard(DeviceGuardOpaque*);
AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);

}  // extern "C"

namespace actclip::cuda {

constexpr int kThreads = 256;  // of a block

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    throw std::runtime_error(
        std::string("CUDA failed to ") + what + ": " + cudaGetErrorString(error));
  }
}

// As long as this lives, a tensor's device is the current one; launches go to its current stream.
class Launcher {
 public:
  explicit Launcher(const View& like) : guard_(nullptr, aoti_torch_delete_device_guard) {
    DeviceGuardOpaque* guard = nullptr;
    actclip::check(
        aoti_torch_create_device_guard(like.device_index, &guard), "choose a CUDA device");
    guard_.reset(guard);
    void* stream = nullptr;
    actclip::check(
        aoti_torch_get_current_cuda_stream(like.device_index, &stream), "tell a CUDA stream");
    stream_ = static_cast<cudaStream_t>(stream);
    // The guard told LibTorch's copy of the CUDA runtime, and tells it again at the end. This
    // library has a copy of its own, which nobody else asks, so it needs no telling at the end.
    check(cudaSetDevice(like.device_index), "choose a device");
  }

  template <typename... Parameters>
  void launch(
      int64_t blocks, int threads, void (*kernel)(Parameters...), Parameters... given) const {
    if (blocks == 0) {
      return;
    }
    if (blocks > INT32_MAX) {
      throw std::runtime_error("the tensor is too large for one launch");
    }
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.stream = stream_;
    check(cudaLaunchKernelEx(&config, kernel, given...), "launch a kernel");
  }

  void clear(void* memory, int64_t bytes) const {
    if (bytes > 0) {
      check(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream_), "clear memory");
    }
  }

 private:
  std::unique_ptr<DeviceGuardOpaque, AOTITorchError (*)(DeviceGuardOpaque*)> guard_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace actclip::cuda

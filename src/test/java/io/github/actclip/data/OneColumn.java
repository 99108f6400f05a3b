package io.github.actclip.data;

import io.github.actclip.runtime.TensorScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** A data set of a user's own: data i, float32 (B, 1), and target 10 i, int64 (B). */
class OneColumn implements Dataset {

  private final int size;

  OneColumn(int size) {
    this.size = size;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public Batch batch(int... indices) {
    try (TensorScope scope = new TensorScope()) {
      float[] values = new float[indices.length];
      long[] targets = new long[indices.length];
      for (int i = 0; i < indices.length; i++) {
        values[i] = indices[i];
        targets[i] = 10L * indices[i];
      }
      Tensor data = torch.tensor(values).unsqueeze(1).mul(new Scalar(1.0));
      return new Batch(scope.pass(data), scope.pass(torch.tensor(targets)));
    }
  }

  @Override
  public String name() {
    return "one column";
  }

  @Override
  public long checksum() {
    return size;
  }
}

package io.github.actclip.samples.service;

import java.io.ByteArrayOutputStream;
import java.util.concurrent.CompletableFuture;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.util.thread.Invocable;

/**
 * Reads a body as it comes, and to its end also where that is too long: who is still sending does
 * not hear an answer.
 */
final class BodyReader implements Invocable.Task {

  private final Content.Source source;
  private final int mostBytes;
  private final BodyMemory memory;
  private final ByteArrayOutputStream read = new ByteArrayOutputStream();
  private final CompletableFuture<byte[]> whole = new CompletableFuture<>();
  private long length;
  private boolean hasRoom = true;

  BodyReader(Content.Source source, int mostBytes, BodyMemory memory) {
    this.source = source;
    this.mostBytes = mostBytes;
    this.memory = memory;
  }

  /**
   * Begins to read.
   *
   * @return ends with the body, or with what is wrong with it
   */
  CompletableFuture<byte[]> read() {
    run();
    return whole;
  }

  /** Gives back the room that the body has in memory, once nobody needs it any more. */
  synchronized void release() {
    memory.release(read.size());
    hasRoom = false; // What comes now, after too long a time, is let go.
  }

  private synchronized void keep(byte[] bytes) {
    hasRoom = hasRoom && length <= mostBytes && memory.take(bytes.length);
    if (hasRoom) {
      read.writeBytes(bytes);
    }
  }

  @Override
  public InvocationType getInvocationType() {
    return InvocationType.NON_BLOCKING;
  }

  @Override
  public void run() {
    while (!whole.isDone()) {
      Content.Chunk chunk = source.read();
      if (chunk == null) {
        source.demand(this);
        return;
      }
      if (Content.Chunk.isFailure(chunk)) {
        whole.completeExceptionally(chunk.getFailure());
      } else {
        take(chunk);
      }
    }
  }

  private void take(Content.Chunk chunk) {
    byte[] bytes = new byte[chunk.remaining()];
    chunk.get(bytes, 0, bytes.length);
    chunk.release();
    length += bytes.length;
    keep(bytes);
    if (chunk.isLast()) {
      end();
    }
  }

  private void end() {
    if (length > mostBytes) {
      whole.completeExceptionally(
          new HttpException.RuntimeException(HttpStatus.PAYLOAD_TOO_LARGE_413));
    } else if (!hasRoom) {
      whole.completeExceptionally(
          new HttpException.RuntimeException(HttpStatus.SERVICE_UNAVAILABLE_503));
    } else {
      whole.complete(read.toByteArray());
    }
  }
}

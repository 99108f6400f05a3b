package io.github.actclip.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class RandomCasesTest {

  @Test
  void theCaseThatFailsIsNamedByItsSeed() {
    StackOverflowError cause = new StackOverflowError("too deep");
    List<Long> tried = new ArrayList<>();
    AssertionError error =
        assertThrows(
            AssertionError.class,
            () ->
                RandomCases.check(
                    10,
                    random -> {
                      tried.add(random.nextLong());
                      if (tried.size() == 4) {
                        throw cause;
                      }
                    }));
    assertEquals("the case of seed 3: too deep", error.getMessage());
    assertSame(cause, error.getCause());
    assertEquals(4, tried.stream().distinct().count());
  }
}

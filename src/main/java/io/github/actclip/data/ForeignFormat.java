package io.github.actclip.data;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What people have among their images and nothing here reads, or not by that name: told by how a
 * file begins, or else by the end of its name. {@code (?!)} tells by the other one alone.
 */
enum ForeignFormat {
  AVIF("....ftypavi[fs]", "avif", "AVIF: convert it to JPEG or PNG"),
  CANON_RAW("....ftypcrx ", "cr3", "a camera's raw image: develop it to JPEG or PNG"),
  HEIC(
      "....ftyp(he|mif1|msf1)",
      "heic|heif|hif",
      "HEIC, as telephones write it: convert it to JPEG or PNG"),
  VIDEO(
      "....ftyp|\\x1a\\x45\\xdf\\xa3|RIFF....AVI ",
      "mp4|m4v|mov|avi|mkv|webm",
      "a video: save its frames as JPEG or PNG"),
  JPEG_XL("\\xff\\x0a|....JXL ", "jxl", "JPEG XL: convert it to JPEG or PNG"),
  JPEG_2000("....jP  |\\xff\\x4f\\xff\\x51", "jp2|j2k", "JPEG 2000: convert it to JPEG or PNG"),
  JPEG("\\xff\\xd8\\xff", "(?!)", "JPEG: let its name end in .jpg"),
  PNG("\\x89PNG\\r\\n", "(?!)", "PNG: let its name end in .png"),
  PHOTOSHOP("8BPS", "psd", "Photoshop's: convert it to JPEG or PNG"),
  PDF("%PDF", "pdf", "PDF: save its pages as PNG"),
  WEB_PAGE(
      "\\W{0,8}(!doctype )?html",
      "html?",
      "a web page, as servers send in place of an image: download it again"),
  SVG(".*<svg", "svg", "SVG, a drawing: render it as PNG"),
  GIT_LFS("version https://git-lfs", "(?!)", "Git LFS's pointer to a file: run git lfs pull"),
  ARCHIVE(
      "PK\\x03\\x04|\\x1f\\x8b|Rar!|7z\\xbc\\xaf", "zip|tar|tgz|gz|7z|rar", "packed: unpack it"),
  RAW( // which begins as TIFF does
      "(?!)",
      "dng|cr2|nef|arw|raf|orf|rw2|pef|srw",
      "a camera's raw image: develop it to JPEG or PNG");

  private static final int HEAD_BYTES = 512;

  private final Pattern begin;
  private final Pattern suffix;
  private final String sentence;

  ForeignFormat(String begin, String suffix, String sentence) {
    this.begin = Pattern.compile(begin, Pattern.DOTALL | Pattern.CASE_INSENSITIVE);
    this.suffix = Pattern.compile(suffix);
    this.sentence = "is " + sentence;
  }

  /** What a file is and what to do about it, as in "is PDF: …"; empty where it is not known. */
  static Optional<String> of(Path file) {
    String end = suffix(file);
    return byHead(head(file))
        .or(() -> Stream.of(values()).filter(f -> f.suffix.matcher(end).matches()).findFirst())
        .map(format -> format.sentence);
  }

  /** The same of a file's content. */
  static Optional<String> of(byte[] content) {
    int length = Math.min(content.length, HEAD_BYTES);
    return byHead(new String(content, 0, length, StandardCharsets.ISO_8859_1))
        .map(format -> format.sentence);
  }

  private static Optional<ForeignFormat> byHead(String head) {
    return Stream.of(values()).filter(format -> format.begin.matcher(head).lookingAt()).findFirst();
  }

  /** Whether its name ends as that of an image that a person takes for one like others. */
  static boolean isImage(Path file) {
    return Stream.of(AVIF, CANON_RAW, HEIC, JPEG_XL, JPEG_2000, RAW)
        .anyMatch(format -> format.suffix.matcher(suffix(file)).matches());
  }

  /** Nothing where it cannot be read, which others say; no pipe is waited for. */
  private static String head(Path file) {
    if (!Files.isRegularFile(file)) {
      return "";
    }
    try (InputStream in = Files.newInputStream(file)) {
      return new String(in.readNBytes(HEAD_BYTES), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return "";
    }
  }

  /** The end of a file's name after its last dot, in lower case; the name where it has none. */
  static String suffix(Path file) {
    String name = DataFolder.nameOf(file);
    return name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
  }
}

package io.github.actclip;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaAccess.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.type;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_THROW_GENERIC_EXCEPTIONS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import io.github.actclip.runtime.Loggers;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;

/** The rooms of the house, and the arrows between them. */
@AnalyzeClasses(packages = "io.github.actclip", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {

  /** Each room may use those that its arrows reach; everyone may use runtime. */
  @ArchTest
  static final ArchRule arrows =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("runtime")
          .definedBy("io.github.actclip.runtime")
          .layer("op")
          .definedBy("io.github.actclip.op")
          .layer("autograd")
          .definedBy("io.github.actclip.autograd")
          .layer("nn")
          .definedBy("io.github.actclip.nn")
          .layer("nn.models")
          .definedBy("io.github.actclip.nn.models")
          .layer("data")
          .definedBy("io.github.actclip.data")
          .layer("io")
          .definedBy("io.github.actclip.io")
          .layer("optim")
          .definedBy("io.github.actclip.optim")
          .layer("train")
          .definedBy("io.github.actclip.train")
          .layer("checkpoint")
          .definedBy("io.github.actclip.checkpoint")
          .layer("report")
          .definedBy("io.github.actclip.report")
          .layer("export")
          .definedBy("io.github.actclip.export")
          .layer("infer")
          .definedBy("io.github.actclip.infer")
          .whereLayer("runtime")
          .mayNotAccessAnyLayer()
          .whereLayer("op")
          .mayOnlyAccessLayers("runtime")
          .whereLayer("autograd")
          .mayOnlyAccessLayers("runtime", "op")
          .whereLayer("nn")
          .mayOnlyAccessLayers("runtime", "op", "autograd")
          .whereLayer("nn.models")
          .mayOnlyAccessLayers("runtime", "op", "autograd", "nn", "io")
          .whereLayer("data")
          .mayOnlyAccessLayers("runtime")
          .whereLayer("io")
          .mayOnlyAccessLayers("runtime", "nn")
          .whereLayer("optim")
          .mayOnlyAccessLayers("runtime", "autograd", "nn")
          .whereLayer("train")
          .mayOnlyAccessLayers("runtime", "autograd", "nn", "data", "io", "optim")
          .whereLayer("checkpoint")
          .mayOnlyAccessLayers("runtime", "nn", "data", "io", "optim", "train")
          .whereLayer("report")
          .mayOnlyAccessLayers("runtime", "nn", "data", "io", "train", "checkpoint")
          .whereLayer("export")
          .mayOnlyAccessLayers("runtime", "nn", "data", "io")
          .whereLayer("infer")
          .mayOnlyAccessLayers("runtime", "nn", "data", "io", "report");

  @ArchTest
  static final ArchRule noCycles =
      slices().matching("io.github.actclip.(**)").should().beFreeOfCycles();

  /**
   * Loading and scopes stay in the lower rooms, and so does raw memory. The texts and option values
   * that the presets hand out as pointers ({@code BytePointer}, {@code DoublePointer}) may be read
   * anywhere, and {@code LongPointer} is how they take a kernel size.
   */
  @ArchTest
  static final ArchRule nativeMemoryStaysBelow =
      noClasses()
          .that()
          .resideOutsideOfPackages(
              "io.github.actclip.runtime", "io.github.actclip.op", "io.github.actclip.autograd")
          .should()
          .dependOnClassesThat()
          .haveFullyQualifiedName("org.bytedeco.javacpp.Loader")
          .orShould()
          .dependOnClassesThat()
          .haveFullyQualifiedName("org.bytedeco.javacpp.PointerScope")
          .orShould()
          .callConstructorWhere(
              target(owner(assignableTo(Pointer.class)))
                  .and(target(owner(resideInAPackage("org.bytedeco.javacpp"))))
                  .and(target(owner(not(type(LongPointer.class))))));

  /**
   * JavaCPP's indexers use {@code sun.misc.Unsafe}, of which JDK 24 and newer warn: {@code
   * torch.tensor} and {@code Tensor.createBuffer} do without.
   */
  @ArchTest
  static final ArchRule noIndexers =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAPackage("org.bytedeco.javacpp.indexer")
          .orShould()
          .callMethodWhere(
              target(owner(assignableTo(Tensor.class)))
                  .and(target(name("create").or(name("createIndexer")))));

  @ArchTest
  static final ArchRule loggingIsTheLog4jApi =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.apache.logging.log4j.core..", "java.util.logging", "org.slf4j..");

  /** See {@link Loggers}: an interrupted thread may be the first that needs one. */
  @ArchTest
  static final ArchRule loggersAreMadeInOnePlace =
      noClasses()
          .that()
          .doNotHaveFullyQualifiedName(Loggers.class.getName())
          .should()
          .dependOnClassesThat()
          .haveFullyQualifiedName("org.apache.logging.log4j.LogManager");

  @ArchTest static final ArchRule noStandardStreams = NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;

  @ArchTest static final ArchRule noGenericExceptions = NO_CLASSES_SHOULD_THROW_GENERIC_EXCEPTIONS;

  @ArchTest
  static final ArchRule publicTypesAreFinal =
      classes()
          .that()
          .areTopLevelClasses()
          .and()
          .arePublic()
          .and()
          .areNotInterfaces()
          .and()
          .doNotHaveModifier(JavaModifier.ABSTRACT)
          .should()
          .haveModifier(JavaModifier.FINAL)
          .orShould()
          .beEnums();
}

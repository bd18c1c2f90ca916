# Formula for a Homebrew tap; see ../index.md.
class Guetzpy < Formula
  include Language::Python::Virtualenv

  desc "Perceptually optimised JPEG re-encoder"
  homepage "https://<PROJECT_PAGE>"
  url "https://<SDIST_HOST>/<PATH>/guetzpy-0.1.0.tar.gz"
  sha256 "REPLACE_WITH_THE_SHA256_OF_THE_SDIST"
  license "Apache-2.0"

  depends_on "python@3.13"

  # numba and numpy come as wheels: building LLVM from source takes hours.
  def install
    virtualenv_create(libexec, "python3.13")
    system "python3.13", "-m", "pip", "--python=#{libexec}/bin/python", "install", buildpath
    bin.install_symlink libexec/"bin/guetzpy"
    man1.install "docs/guetzpy.1"
    generate_completions_from_executable(bin/"guetzpy", shells: [:bash, :zsh, :fish], shell_parameter_format: :typer)
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/guetzpy --version")
  end
end

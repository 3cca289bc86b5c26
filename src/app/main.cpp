// The program `shoal`.
#include <exception>

#include <fmt/format.h>

#include "app/cli.hpp"
#include "app/print.hpp"

int main(int count, char** arguments) {
  try {
    return shoal::app::run_program(count, arguments);
  } catch (const std::exception& error) {
    shoal::app::print_text(stderr, fmt::format("shoal: internal error: {}\n", error.what()));
    return static_cast<int>(shoal::app::ExitCode::internal_error);
  }
}

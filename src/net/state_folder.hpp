// What one run leaves for the next (SaveState): small files in one folder, each replaced in one step, so that a power
// cut leaves the old one or the new one. The runner's pool writes them; the program reads them before a run.
#pragma once

#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/time.hpp"

namespace shoal::net {

inline constexpr std::uintmax_t kStateBytesMax = 256u << 20;  // of one file; a longer one is not ours

// A plain file name: letters, digits, '.', '-', '_', not beginning with '.', at most 128.
[[nodiscard]] bool is_state_name(std::string_view name);

// Creates the folder. The error says in words what was tried and what happened.
[[nodiscard]] std::expected<void, std::string> write_state(const std::filesystem::path& folder, const std::string& name,
                                                           base::ByteView bytes);
// Nothing when there is no such file.
[[nodiscard]] std::expected<std::optional<base::Bytes>, std::string> read_state(const std::filesystem::path& folder,
                                                                                const std::string& name);
// How long ago it was written, by the clock on the wall; 0 when there is no such file or it is of the future.
[[nodiscard]] base::Duration state_age(const std::filesystem::path& folder, const std::string& name);

}  // namespace shoal::net

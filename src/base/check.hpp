// SHOAL_CHECK: a claim that only a bug of ours can break. It is on in every build and ends the program with the place.
// SHOAL_AUDIT_CHECK: the same for claims that are expensive to test; on in debug and sanitizer builds.
// Bytes from outside and the user's mistakes are never checked with these: they are error values.
#pragma once

namespace shoal::base {

[[noreturn]] void check_failed(const char* claim, const char* file, int line) noexcept;

}  // namespace shoal::base

#define SHOAL_CHECK(claim) (static_cast<bool>(claim) ? void() : ::shoal::base::check_failed(#claim, __FILE__, __LINE__))

#ifdef SHOAL_AUDIT
#define SHOAL_AUDIT_CHECK(claim) SHOAL_CHECK(claim)
#else
#define SHOAL_AUDIT_CHECK(claim) void()
#endif

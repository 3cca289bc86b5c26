#include "base/sha1.hpp"

#include <openssl/evp.h>

#include <utility>

#include "base/check.hpp"

namespace shoal::base {
namespace {

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

Sha1Hash Sha1Hash::from_bytes(ByteView view) {
  SHOAL_CHECK(view.size() == kSize);
  Sha1Hash hash;
  std::ranges::copy(view, hash.bytes.begin());
  return hash;
}

std::optional<Sha1Hash> Sha1Hash::parse_hex(std::string_view hex) {
  if (hex.size() != 2 * kSize) return std::nullopt;
  Sha1Hash hash;
  for (std::size_t i = 0; i < kSize; ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    hash.bytes[i] = static_cast<std::byte>(high * 16 + low);
  }
  return hash;
}

std::string Sha1Hash::to_hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * kSize);
  for (const std::byte byte : bytes) {
    hex.push_back(kDigits[std::to_integer<unsigned>(byte >> 4)]);
    hex.push_back(kDigits[std::to_integer<unsigned>(byte & std::byte{15})]);
  }
  return hex;
}

struct Sha1Hasher::Context {
  Context() : evp(EVP_MD_CTX_new()) {
    SHOAL_CHECK(evp != nullptr);
    start();
  }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void start() {
    const int started = EVP_DigestInit_ex(evp, EVP_sha1(), nullptr);
    SHOAL_CHECK(started == 1);
  }

  EVP_MD_CTX* evp;
};

Sha1Hasher::Sha1Hasher() : context_(std::make_unique<Context>()) {}
Sha1Hasher::~Sha1Hasher() = default;
Sha1Hasher::Sha1Hasher(Sha1Hasher&&) noexcept = default;
Sha1Hasher& Sha1Hasher::operator=(Sha1Hasher&&) noexcept = default;

void Sha1Hasher::update(ByteView bytes) {
  const int updated = EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
  SHOAL_CHECK(updated == 1);
}

Sha1Hash Sha1Hasher::finish() {
  Sha1Hash hash;
  unsigned size = 0;
  const int finished = EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(hash.bytes.data()), &size);
  SHOAL_CHECK(finished == 1 && size == Sha1Hash::kSize);
  context_->start();
  return hash;
}

Sha1Hash sha1(ByteView bytes) {
  Sha1Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace shoal::base

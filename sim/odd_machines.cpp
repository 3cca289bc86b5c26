#include "sim/odd_machines.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"
#include "course/messages.hpp"

namespace shoal::sim {
namespace {

// A piece in memory with other bytes than its name promises.
class BentPiece : public seam::ReadablePiece {
 public:
  explicit BentPiece(base::Bytes bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size_bytes() const override { return bytes_.size(); }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    const std::size_t count = std::min<std::size_t>(target.size(), bytes_.size() - std::min(offset, bytes_.size()));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, target.begin());
    return count;
  }

 private:
  base::Bytes bytes_;
};

class OddMachine : public seam::Machine {
 public:
  OddMachine(std::unique_ptr<seam::Machine> honest, Oddity oddity, base::Rng rng)
      : honest_(std::move(honest)), oddity_(oddity), rng_(std::move(rng)) {}

  void start(base::Instant now) override { honest_->start(now); }
  void on_event(seam::Event&& event, base::Instant now) override { honest_->on_event(std::move(event), now); }
  seam::ReadTargets next_read(seam::ConnId conn) override { return honest_->next_read(conn); }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return honest_->next_deadline(); }

  seam::Actions take_actions() override {
    seam::Actions bent;
    for (seam::Action& action : honest_->take_actions()) {
      if (auto* piece = std::get_if<seam::SendPiece>(&action)) {
        bend(*piece, bent);
      } else if (auto* send = std::get_if<seam::Send>(&action)) {
        bend(*send, bent);
      } else {
        bent.push_back(std::move(action));
      }
    }
    return bent;
  }

 private:
  static base::Bytes read_all(const seam::ReadablePiece& piece) {
    base::Bytes bytes(piece.size_bytes());
    piece.read_at(0, bytes);
    return bytes;
  }

  base::Bytes noise() {
    base::Bytes bytes(1 + rng_.below(64));
    std::ranges::generate(bytes, [this] { return static_cast<std::byte>(rng_.below(256)); });
    return bytes;
  }

  // Overwrites msg_length with one of the lies that were seen in the wild.
  void lie_about_length(base::Bytes& message) {
    static constexpr std::array<std::array<unsigned char, 4>, 4> kLies{
        {{0, 0, 0, 0}, {0, 0, 0, 1}, {255, 255, 255, 255}, {7, 0, 0, 0}}};
    const auto& lie = kLies[rng_.below(kLies.size())];
    for (std::size_t i = 0; i < lie.size(); ++i) message[4 + i] = static_cast<std::byte>(lie[i]);
  }

  void bend(seam::Send& send, seam::Actions& out) {
    switch (oddity_) {
      case Oddity::silent:
        return;
      case Oddity::garbage:
        send.bytes = noise();
        break;
      case Oddity::lying_length:
        lie_about_length(send.bytes);
        break;
      default:
        break;
    }
    out.emplace_back(std::move(send));
  }

  void bend(seam::SendPiece& send, seam::Actions& out) {
    base::Bytes content = read_all(*send.piece);
    switch (oddity_) {
      case Oddity::none:
        break;
      case Oddity::wrong_bytes:
        if (!content.empty()) content[rng_.below(content.size())] ^= std::byte{1};
        send.piece = std::make_shared<BentPiece>(std::move(content));
        break;
      case Oddity::wrong_chunk:
        send.header[course::kHeaderBytes] ^= std::byte{1};
        break;
      case Oddity::silent:
        return;
      case Oddity::cut_short:
      case Oddity::dribbles: {
        if (oddity_ == Oddity::cut_short && rng_.chance(0.7)) break;
        content.resize(content.size() / 2);
        send.header.insert(send.header.end(), content.begin(), content.end());
        out.emplace_back(seam::Send{send.conn, std::move(send.header)});
        if (oddity_ == Oddity::cut_short) out.emplace_back(seam::Close{send.conn});
        return;
      }
      case Oddity::garbage:
        out.emplace_back(seam::Send{send.conn, noise()});
        return;
      case Oddity::lying_length:
        lie_about_length(send.header);
        break;
      case Oddity::refuses_all:
        out.emplace_back(seam::Send{send.conn, course::encode_error(course::ErrorCode::chunk_not_found)});
        return;
    }
    out.emplace_back(std::move(send));
  }

  std::unique_ptr<seam::Machine> honest_;
  Oddity oddity_;
  base::Rng rng_;
};

class RequestFlooder : public seam::Machine {
 public:
  RequestFlooder(base::Endpoint target, base::Bytes request, base::Rng rng)
      : target_(target), request_(std::move(request)), rng_(std::move(rng)) {}

  void start(base::Instant now) override {
    actions_.emplace_back(seam::Dial{conn_, target_});
    next_ = now + std::chrono::milliseconds(10);
  }

  void on_event(seam::Event&& event, base::Instant now) override {
    if (std::holds_alternative<seam::Connected>(event)) is_connected_ = true;
    if (std::holds_alternative<seam::ConnectionLost>(event)) is_connected_ = false;
    if (!std::holds_alternative<seam::DeadlineReached>(event)) return;
    next_ = now + std::chrono::milliseconds(10);
    if (!is_connected_ || sent_ == kBurstsMax) return;
    ++sent_;
    base::Bytes burst;
    for (int i = 0; i < 50; ++i) burst.insert(burst.end(), request_.begin(), request_.end());
    if (rng_.chance(0.2)) burst.push_back(static_cast<std::byte>(rng_.below(256)));
    actions_.emplace_back(seam::Send{conn_, std::move(burst)});
  }

  seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override {
    return sent_ == kBurstsMax ? std::nullopt : std::optional(next_);
  }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }

 private:
  static constexpr int kBurstsMax = 100;

  base::Endpoint target_;
  base::Bytes request_;
  base::Rng rng_;
  seam::ConnId conn_{1};
  bool is_connected_ = false;
  int sent_ = 0;
  base::Instant next_{};
  seam::Actions actions_;
};

}  // namespace

std::string_view to_string(Oddity oddity) {
  static constexpr std::array<std::string_view, kOddityCount> kNames{"none",         "wrong_bytes", "wrong_chunk",
                                                                     "silent",       "cut_short",   "garbage",
                                                                     "lying_length", "refuses_all", "dribbles"};
  return kNames[static_cast<std::size_t>(oddity)];
}

std::unique_ptr<seam::Machine> make_odd(std::unique_ptr<seam::Machine> honest, Oddity oddity, base::Rng rng) {
  if (oddity == Oddity::none) return honest;
  return std::make_unique<OddMachine>(std::move(honest), oddity, std::move(rng));
}

std::unique_ptr<seam::Machine> make_flooder(base::Endpoint target, base::Bytes request, base::Rng rng) {
  return std::make_unique<RequestFlooder>(target, std::move(request), std::move(rng));
}

}  // namespace shoal::sim

// What a server makes of a complete message somebody sent it: a request it can answer, another message that is
// well-formed (ERROR 1), or nothing that makes sense (ERROR 0). Used by the peer, the tracker and discovery, so that
// all three judge alike.
#pragma once

#include <expected>

#include "base/bytes.hpp"
#include "course/messages.hpp"

namespace shoal::course {

// The message's type when version, type and body are as section 1 wants them. `body` is exactly header.body_bytes();
// surplus behind what was parsed is padding (4.8), also behind a body that should be empty.
[[nodiscard]] Parsed<MessageType> check_message(const Header& header, base::ByteView body);

}  // namespace shoal::course

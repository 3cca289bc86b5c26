#include "base/buffer_pool.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace shoal::base {
namespace {

TEST(BufferPool, GivesBuffersOfItsSizeUntilTheBudgetIsUsedUp) {
  BufferPool pool(100, 2);
  const auto first = pool.take();
  const auto second = pool.take();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->bytes().size(), 100u);
  EXPECT_NE(first->bytes().data(), second->bytes().data());
  EXPECT_EQ(pool.in_use(), 2u);
  EXPECT_EQ(pool.available(), 0u);
  EXPECT_FALSE(pool.take());
}

TEST(BufferPool, GetsABufferBackWhenItIsDestroyedAndGivesTheSameMemoryAgain) {
  BufferPool pool(100, 1);
  const std::byte* memory = nullptr;
  {
    const auto buffer = pool.take();
    memory = buffer->bytes().data();
  }
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(pool.take()->bytes().data(), memory);
}

TEST(BufferPool, AMovedBufferIsReturnedOnce) {
  BufferPool pool(100, 2);
  auto buffer = pool.take();
  Buffer moved = std::move(*buffer);
  buffer.reset();
  EXPECT_EQ(pool.in_use(), 1u);
  EXPECT_FALSE(moved.is_empty());
  moved = Buffer();
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_TRUE(moved.is_empty());
}

TEST(BufferPool, AssigningToABufferReturnsTheOneItHeld) {
  BufferPool pool(100, 2);
  Buffer one = *pool.take();
  one = *pool.take();
  EXPECT_EQ(pool.in_use(), 1u);
}

TEST(BufferPool, ABufferAssignedToItselfIsKept) {
  BufferPool pool(100, 1);
  Buffer buffer = *pool.take();
  Buffer& same = buffer;
  buffer = std::move(same);
  EXPECT_FALSE(buffer.is_empty());
  EXPECT_EQ(pool.in_use(), 1u);
}

TEST(BufferPool, AnEmptyBufferBelongsToNoPool) {
  const Buffer buffer;
  EXPECT_TRUE(buffer.is_empty());
  EXPECT_TRUE(buffer.bytes().empty());
}

TEST(BufferPoolDeathTest, RefusesToEndBeforeItsBuffers) {
  EXPECT_DEATH(
      {
        auto pool = std::make_unique<BufferPool>(100, 1);
        const auto buffer = pool->take();
        pool.reset();
      },
      "internal error");
}

}  // namespace
}  // namespace shoal::base

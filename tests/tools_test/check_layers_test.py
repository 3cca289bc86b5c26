import unittest

from tools_test.fake_tree import CMAKE, FakeTree


class CheckLayers(FakeTree):
    def test_keeps_quiet_about_imports_that_go_down(self):
        self.assert_kept("check_layers")

    def test_fails_when_a_swarm_file_includes_an_asio_header(self):
        self.write("src/swarm/picker.cpp", "\n#include <boost/asio/ip/tcp.hpp>\n")
        self.assert_broken("src/swarm/picker.cpp:2: <boost/asio/ip/tcp.hpp>", "check_layers")

    def test_fails_when_the_simulator_includes_an_asio_header(self):
        self.write("sim/world.cpp", "#include <boost/asio.hpp>\n")
        self.assert_broken("sim/world.cpp:1: <boost/asio.hpp>", "check_layers")

    def test_fails_when_a_module_includes_a_higher_one(self):
        self.write("src/course/messages.cpp", '#include "swarm/picker.hpp"\n')
        self.assert_broken('src/course/messages.cpp:1: "swarm/picker.hpp": swarm is not below course', "check_layers")

    def test_fails_when_a_module_includes_a_sibling(self):
        self.write("src/swarm/picker.cpp", '#include "tracker/shares.hpp"\n')
        self.assert_broken("src/swarm/picker.cpp:1:", "check_layers")

    def test_fails_when_the_simulator_includes_net(self):
        self.write("sim/world.cpp", '#include "net/runner.hpp"\n')
        self.assert_broken("sim/world.cpp:1:", "check_layers")

    def test_fails_when_an_include_does_not_name_its_module(self):
        self.write("src/swarm/picker.cpp", '#include "picker.hpp"\n')
        self.assert_broken('src/swarm/picker.cpp:1: "picker.hpp" is not of the form', "check_layers")

    def test_fails_when_cmake_links_a_higher_module(self):
        self.write("src/CMakeLists.txt", CMAKE.replace("course base", "course base swarm"))
        self.assert_broken("src/CMakeLists.txt:2: course links swarm", "check_layers")

    def test_fails_when_cmake_does_not_link_what_is_included(self):
        self.write("src/CMakeLists.txt", CMAKE.replace("swarm course", "swarm base"))
        self.assert_broken("src/swarm/picker.cpp:2:", "check_layers")

    def test_fails_when_a_folder_is_no_module(self):
        self.write("src/extra/more.cpp", "int x;\n")
        self.assert_broken("src/extra: no shoal_module", "check_layers")

    def test_fails_when_a_machine_reads_a_clock(self):
        self.write("src/swarm/picker.cpp", "auto now = std::chrono::steady_clock::now();\n")
        self.assert_broken("src/swarm/picker.cpp:1: steady_clock::now", "check_layers")

    def test_fails_when_a_machine_locks_or_opens_a_socket(self):
        for header in ("mutex", "thread", "sys/socket.h"):
            self.write("src/swarm/picker.cpp", f"#include <{header}>\n")
            self.assert_broken(f"src/swarm/picker.cpp:1: <{header}>", "check_layers")

    def test_does_not_read_comments_as_code(self):
        self.write("src/swarm/picker.cpp", "// never steady_clock::now()\n/*\n#include <mutex>\n*/\n")
        self.assert_kept("check_layers")

    def test_fails_when_a_header_lacks_its_comment_or_its_guard(self):
        self.write("src/base/bytes.hpp", "#pragma once\n")
        self.assert_broken("src/base/bytes.hpp:1: a header opens with a comment", "check_layers")
        self.write("src/base/bytes.hpp", "// Bytes.\n")
        self.assert_broken("src/base/bytes.hpp:1: no #pragma once", "check_layers")


if __name__ == "__main__":
    unittest.main()

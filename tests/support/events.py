"""What `--json` prints, read back: one dictionary for each line."""

import json


def events(process, name=None):
    """The events a program has printed so far, or those of one name."""
    found = [json.loads(line) for line in process.stdout]
    return [event for event in found if name is None or event["event"] == name]


def verified_pieces(process):
    """The numbers of the pieces that arrived and were right, in the order of their arrival."""
    return [event["piece"] for event in events(process, "piece") if event["status"] == "verified"]


def wait_event(process, name, count=1, **wanted):
    """Wait until `count` events have this name and these fields; the last of them is returned."""

    def matches(line):
        event = json.loads(line)
        return event["event"] == name and wanted.items() <= event.items()

    return json.loads(process.wait_matching(matches, f"event {count} {name} {wanted}", count=count))

"""The course directory as the counterparts read and write it: peers.ini, file.ini and chunk files."""

import configparser
import hashlib
from pathlib import Path


def read_ini(path):
    """An ini file by the page's rules: `=` or `:`, `#` and `;` comments, a BOM, a literal `%`."""
    ini = configparser.ConfigParser(interpolation=None, strict=False)
    ini.read_string(Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape"))
    return ini


def read_addresses(directory):
    """name -> (ip, port), for every section of peers.ini."""
    ini = read_ini(Path(directory) / "config" / "peers.ini")
    return {name: (ini[name]["ip_address"], int(ini[name]["port_number"])) for name in ini.sections()}


def read_description(directory):
    """(file name, [(hash, [owner, ...]), ...]) out of file.ini, in file order."""
    ini = read_ini(Path(directory) / "config" / "file.ini")
    count = int(ini["description"]["chunks_count"])
    chunks = []
    for number in range(count):
        owners = ini["chunks_peers"].get(str(number), "")
        names = [name.strip() for name in owners.split(",") if name.strip()]
        chunks.append((bytes.fromhex(ini["chunks"][str(number)]), names))
    return ini["description"]["filename"], chunks


def chunk_path(directory, peer, chunk_hash):
    return Path(directory) / "chunks" / peer / f"{chunk_hash.hex()}.bin"


def read_chunk(directory, peer, chunk_hash):
    """A chunk's content, or None when the peer does not have it."""
    try:
        return chunk_path(directory, peer, chunk_hash).read_bytes()
    except OSError:
        return None


def write_chunk(directory, peer, content):
    path = chunk_path(directory, peer, hashlib.sha1(content).digest())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(content)
    temporary.rename(path)

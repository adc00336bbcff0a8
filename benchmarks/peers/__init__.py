"""The peers, by the names that `--peer NAME=PATH` takes. Each adapter says how it is measured."""

from collections.abc import Callable
from pathlib import Path

from peers.contest import Peer
from peers.convolutional_diffusion import ConvolutionalDiffusion
from peers.golddiff import GoldDiff
from peers.locality import Locality
from peers.previous import Previous
from peers.pspc import Pspc

PEERS: dict[str, Callable[[Path], Peer]] = {
    peer.name: peer for peer in (Pspc, ConvolutionalDiffusion, Locality, GoldDiff, Previous)
}
"""Each is given the checkout."""

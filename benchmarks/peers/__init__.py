"""The peers, by the names that `--peer NAME=PATH` takes. Each adapter says how it is measured."""

from peers.contest import CheckedOut
from peers.convolutional_diffusion import ConvolutionalDiffusion
from peers.golddiff import GoldDiff
from peers.locality import Locality
from peers.pspc import Pspc

PEERS: dict[str, type[CheckedOut]] = {
    peer.name: peer for peer in (Pspc, ConvolutionalDiffusion, Locality, GoldDiff)
}

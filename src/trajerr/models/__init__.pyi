from .registry import NETWORKS as NETWORKS
from .registry import build_network as build_network

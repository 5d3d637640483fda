"""Elastic layers: one store of weights, many networks; every one computes with views of it."""

from archip.nets.elastic.attention import Attention, elastic_attention
from archip.nets.elastic.conv import ElasticConv
from archip.nets.elastic.convert import elastic
from archip.nets.elastic.depth import ElasticBlock, ElasticDepth
from archip.nets.elastic.embedding import ElasticEmbedding, Positions
from archip.nets.elastic.inputs import ElasticLength, ElasticPatches, ElasticResolution
from archip.nets.elastic.layer import Elastic, ElasticLayer
from archip.nets.elastic.linear import ElasticLinear
from archip.nets.elastic.network import ElasticNet, ElasticSpace
from archip.nets.elastic.norm import ElasticBatchNorm, ElasticGroupNorm, ElasticLayerNorm
from archip.nets.elastic.size import Size, Span
from archip.nets.elastic.sort import sort_channels

__all__ = [
    "Attention",
    "Elastic",
    "ElasticBatchNorm",
    "ElasticBlock",
    "ElasticConv",
    "ElasticDepth",
    "ElasticEmbedding",
    "ElasticGroupNorm",
    "ElasticLayer",
    "ElasticLayerNorm",
    "ElasticLength",
    "ElasticLinear",
    "ElasticNet",
    "ElasticPatches",
    "ElasticResolution",
    "ElasticSpace",
    "Positions",
    "Size",
    "Span",
    "elastic",
    "elastic_attention",
    "sort_channels",
]

"""MAESTRO's tiles: extent and offset of every directive of a level, sizes of its tiles, and their positions."""

from __future__ import annotations

from archip.hardware.models._maestro_state import INHERIT, WHOLE, R, S, X, Y, compiled, inlined

__all__ = ["ceil_div", "fill_tables", "prepare_level", "set_positions", "split_slots"]


@inlined
def _quotient(a, b):
    """Integer division that truncates towards zero, as in C."""
    return -((-a) // b) if a < 0 else a // b


@inlined
def ceil_div(a, b):
    return (a + b - 1) // b if a > 0 else 0


@compiled
def _n_outputs(extent, filter_tile, stride, corrected):
    """Output positions in an input tile; the tool forgets the stride."""
    return (extent - filter_tile) // stride + 1 if corrected else extent - filter_tile + 1


@compiled
def _touched(extent, filter_size, stride):
    """Rows (or columns) of an input tile that some filter position reads."""
    if extent < filter_size:
        return extent
    n = (extent - filter_size) // stride + 1
    return n * min(stride, filter_size) + max(filter_size - stride, 0)


@compiled
def _directive(s, lv, directive):
    """Extent and offset of one directive of a level, the stride applied."""
    dim, stride = directive[0], s.stride
    if directive[2] == INHERIT:
        extent, offset = s.extent[lv - 1, dim], s.offset[lv - 1, dim]
    elif directive[2] == WHOLE:
        extent, offset = s.size[lv, dim], s.size[lv, dim]
    else:
        extent = directive[3] + s.symbols[directive[2]]
        offset = directive[5] + s.symbols[directive[4]]
    if s.corrected:
        extent = min(extent, s.size[lv, dim])
    filter_size = s.rows if dim == Y else s.columns
    if dim >= Y and stride != 1 and extent >= filter_size:
        n = (extent - filter_size) // stride + 1
        if s.corrected:
            extent = (n - 1) * stride + filter_size
            offset = n * stride
        else:
            extent = n * min(stride, filter_size) + max(filter_size - stride, 0)
            offset = n * (filter_size if lv > 0 and filter_size < stride else stride)
    return extent, offset


@compiled
def _input_tables(s, lv, dim):
    """Tile, new and last elements of one dimension, on the side of the input tensors."""
    size, extent, offset = s.size[lv, dim], s.extent[lv, dim], s.offset[lv, dim]
    steadies = (size - extent) // offset if size > extent else 0
    has_last = extent > size or steadies * offset + extent < size
    rest = size - (steadies + 1) * offset
    if rest < 0:
        rest = size
    s.last_extent[lv, dim] = rest if has_last else extent
    tile, step = extent, offset
    if s.corrected:
        if not has_last:
            rest = extent
        if dim >= Y:
            filter_size = s.rows if dim == Y else s.columns
            tile = _touched(extent, filter_size, s.stride)
            rest = _touched(rest, filter_size, s.stride)
            if extent >= filter_size:
                step = offset // s.stride * min(s.stride, filter_size)
    s.in_tile[lv, dim] = tile
    s.in_new[lv, dim] = 0 if size <= extent and not s.spatial[lv, dim] else min(tile, step)
    s.in_last[lv, dim] = rest if has_last else tile
    s.in_new_last[lv, dim] = max(step - (tile - rest), 0)
    s.out_tile[lv, dim] = s.in_tile[lv, dim]
    s.out_new[lv, dim] = s.in_new[lv, dim]
    s.out_last[lv, dim] = s.in_last[lv, dim]
    s.out_new_last[lv, dim] = s.in_new_last[lv, dim]


@compiled
def _output_tables(s, lv, dim, kernel):
    """The same of Y (with kernel = R) or X (with S) on the side of the output."""
    extent, offset, corrected = s.extent[lv, dim], s.offset[lv, dim], s.corrected
    tile = _n_outputs(extent, s.extent[lv, kernel], s.stride, corrected)
    last = _n_outputs(s.last_extent[lv, dim], s.last_extent[lv, kernel], s.stride, corrected)
    s.out_tile[lv, dim] = tile
    s.out_last[lv, dim] = last
    s.out_new[lv, dim] = tile if corrected else min(offset, extent)
    s.out_new_last[lv, dim] = last if corrected else min(offset, last)


@compiled
def _active_at_edge(remaining, extent, offset):
    """Sub-clusters that `remaining` items keep busy, and whether the last of them has a smaller tile."""
    n = 1 if remaining < extent else (remaining - extent) // offset + 1
    if (n - 1) * offset + extent < remaining:
        return n + 1, 1
    return n, 0


@compiled
def _spatial_steadies(size, extent, offset, n):
    """STEADY steps of a spatial dimension over `n` sub-clusters, and the items left after them."""
    steadies = (_quotient(size - extent, offset) + 1) // n - 1
    return steadies, size - (steadies + 1) * offset * n


@compiled
def fill_tables(s, lv):
    """Tables of a level for its `size`."""
    for i in range(s.n_slots[lv]):
        _input_tables(s, lv, s.slots[lv, i])
    for dim, kernel in ((Y, R), (X, S)):
        _output_tables(s, lv, dim, kernel)
    spatial, n = s.first_spatial[lv], s.n_sub[lv]
    s.n_sub_edge[lv] = 1
    if spatial >= 0:
        size, extent, offset = s.size[lv, spatial], s.extent[lv, spatial], s.offset[lv, spatial]
        _, remaining = _spatial_steadies(size, extent, offset, n)
        if size <= extent + offset * (n - 1):
            remaining = size
        s.n_sub_edge[lv], _ = _active_at_edge(remaining, extent, offset)


@compiled
def prepare_level(s, lv, directives, n_slots):
    """Directives and tables of a level for its full size."""
    s.n_slots[lv] = n_slots
    s.first_spatial[lv] = -1
    for i in range(n_slots):
        dim = directives[i, 0]
        s.slots[lv, i] = dim
        s.extent[lv, dim], s.offset[lv, dim] = _directive(s, lv, directives[i])
        s.spatial[lv, dim] = directives[i, 1]
        if directives[i, 1] and s.first_spatial[lv] < 0:
            s.first_spatial[lv] = dim
    fill_tables(s, lv)


@compiled
def _spatial_positions(s, lv, dim):
    """Count of STEADY, EDGE?, items covered by one step, and partial last sub-cluster? of a spatial dimension."""
    size, extent, offset, n = s.size[lv, dim], s.extent[lv, dim], s.offset[lv, dim], s.n_sub[lv]
    covered = extent + offset * (n - 1)
    steadies, remaining = _spatial_steadies(size, extent, offset, n)
    has_edge = size > covered and steadies * offset * n + covered != size
    has_edge = has_edge and (steadies + 1) * offset * n + covered > size
    partial = 1 if size < covered else 0  # the tool does not look whether the last tile fits
    if size < covered:
        remaining = size
    if has_edge or (s.corrected and size < covered):
        _, partial = _active_at_edge(remaining, extent, offset)
        if s.corrected and remaining < extent:
            partial = 1
    return steadies, has_edge, covered, partial


@compiled
def set_positions(s, lv):
    """Which positions each dimension of the level takes for its `size`, and how often."""
    for i in range(s.n_slots[lv]):
        dim = s.slots[lv, i]
        size, extent, offset = s.size[lv, dim], s.extent[lv, dim], s.offset[lv, dim]
        if s.spatial[lv, dim]:
            steadies, has_edge, covered, partial = _spatial_positions(s, lv, dim)
        else:
            steadies = (size - extent) // offset if size > extent else 0
            has_edge = size > extent and steadies * offset + extent < size
            covered, partial = extent, 0
        s.steadies[lv, dim] = max(steadies, 0) if size > covered else 0
        s.has_edge[lv, dim] = has_edge
        s.covered[lv, dim] = size <= covered
        s.init_edge[lv, dim] = size < covered
        s.partial[lv, dim] = partial


@compiled
def split_slots(s, lv):
    """Finds the moving slots; the others become factors and, one level down, sizes."""
    n = 0
    weight = inputs = outputs = sums = 1
    for i in range(s.n_slots[lv]):
        dim = s.slots[lv, i]
        if s.spatial[lv, dim] or not s.covered[lv, dim]:
            s.moving[lv, n] = dim
            n += 1
            continue
        last = s.init_edge[lv, dim]
        size = s.in_last[lv, dim] if last else s.in_tile[lv, dim]
        out_size = s.out_last[lv, dim] if last else s.out_tile[lv, dim]
        weight *= size if s.weight >> dim & 1 else 1
        inputs *= size if s.input >> dim & 1 else 1
        outputs *= out_size if s.output >> dim & 1 else 1
        sums *= out_size
        if lv + 1 < s.n_levels:
            s.size[lv + 1, dim] = s.last_extent[lv, dim] if last else s.extent[lv, dim]
    later = 0
    for i in range(n - 1, -1, -1):
        dim = s.moving[lv, i]
        s.inner[lv, i] = later
        later |= 0 if s.covered[lv, dim] else 1 << dim
    s.n_moving[lv] = n
    s.fixed_weight[lv], s.fixed_input[lv], s.fixed_output[lv], s.fixed_sums[lv] = weight, inputs, outputs, sums

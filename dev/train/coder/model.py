"""The learned codec as it is trained: `learned_network` of the codec, its steps, and what training may start from."""

import math

import torch
from sdc_pack.codec.autoencoder.learned_network import Network
from sdc_pack.codec.learned.passes import NUM_GROUPS, PASSES
from torch import nn

from .. import loop

ANCHORS = 7  # qualities at which the steps are learned; between them their logarithm is linear


def least_squares(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, a), (N, b) -> the (b, a) matrix and (b,) bias that take x nearest to y."""
    centered = x - x.mean(0)
    square = centered.T @ centered / len(x) + 1e-3 * torch.eye(x.shape[1])
    matrix = torch.linalg.solve(square, centered.T @ (y - y.mean(0)) / len(x)).T
    return matrix, y.mean(0) - matrix @ x.mean(0)


class Coder(Network):
    """`groups`: coefficients of each group; `lambdas`: what an error weighs against a bit at q = 0 and q = 1."""

    def __init__(self, channels: int, groups: tuple[int, ...], lambdas: tuple[float, float]):
        super().__init__(channels, groups, loop.autocast)
        self.lambdas = lambdas
        log_lambda = torch.log(self.lambda_of(torch.linspace(0, 1, ANCHORS)))
        self.log_steps = nn.Parameter((0.5 * (math.log(8.6) - log_lambda))[:, None].repeat(1, sum(groups)))

    def lambda_of(self, q: torch.Tensor) -> torch.Tensor:
        low, high = self.lambdas
        return low * (high / low) ** q

    @torch.no_grad()
    def start_from(self, patches: torch.Tensor, metric: torch.Tensor, known: torch.Tensor | None = None, places=()):
        """Set the linear maps by least squares.

        The coefficients at `places` become those `known` of the patches, and the others the principal components of
        what is left of the patches, as the metric sees them.

        Parameters
        ----------
        patches : (N, 4 C) tensor
        metric : (C, C) tensor
        known : (N, len(places)) tensor
        """
        rest = [number for number in range(self.starts[-1]) if number not in set(places)][: patches.shape[1]]
        to_known, known_bias = least_squares(patches, known) if places else (patches.new_zeros(0, patches.shape[1]), 0)
        from_known, mean = least_squares(known, patches) if places else (to_known.T, patches.mean(0))
        left = patches - mean - (known @ from_known.T if places else 0)
        values, vectors = torch.linalg.eigh(torch.kron(metric, torch.eye(4)))
        seen, back = (vectors * values.sqrt() @ vectors.T for values in (values, 1 / values))
        _, components = torch.linalg.eigh((left @ seen).T @ (left @ seen))
        basis = components.flip(1).T[: len(rest)] @ seen  # the largest first
        analysis, synthesis = self.analysis, self.synthesis.linear
        for layer in (analysis, synthesis):
            layer.weight.mul_(0.02)
            layer.bias.zero_()
        analysis.weight[list(places), :, 0, 0], analysis.bias[list(places)] = to_known, known_bias
        analysis.weight[rest, :, 0, 0] = basis - basis @ from_known @ to_known
        analysis.bias[rest] = -basis @ (mean + from_known @ (patches.new_zeros(len(places)) + known_bias))
        synthesis.weight[:, list(places), 0, 0] = from_known
        synthesis.weight[:, rest, 0, 0] = back @ (basis @ back).T
        synthesis.bias.copy_(mean)
        self._expect(rest, analysis(patches[..., None, None])[..., 0, 0].std(0))

    def _expect(self, chosen: list[int], deviations: torch.Tensor):
        """Let the entropy model start with the deviations (M,) of these coefficients."""
        for context, coded in zip(self.contexts, PASSES, strict=True):
            half = context.last.out_channels // 2
            places = [number for group, _ in coded for number in range(self.starts[group], self.starts[group + 1])]
            for row, number in enumerate(places):
                if number in chosen:
                    context.last.bias[half + row] = torch.log(deviations[number] / 2)

    @torch.no_grad()
    def take_over(self, other: "Coder") -> list[tuple[int, int]]:
        """Take the weights of another network, for the first coefficients of each group, as many as both have.

        Returns where they are here and there.

        Where this network has more of them, the others are neither predicted nor used to predict. The maps from and
        to the latent are taken over where both have as many channels.
        """
        pairs = [
            (mine + n, theirs + n)
            for mine, theirs, own, known in zip(self.starts, other.starts, self.groups, other.groups, strict=False)
            for n in range(min(own, known))
        ]
        total, known = self.starts[-1], other.starts[-1]
        seen = {"coefficients": pairs, "all": [*pairs, *((total + n, known + n) for n in range(NUM_GROUPS + 1))]}
        inputs = {"synthesis.linear": "coefficients", "synthesis.head": "all"}
        inputs |= {f"contexts.{number}.first": "all" for number in range(len(PASSES))}
        outputs = {"analysis": pairs}
        for number, coded in enumerate(PASSES):
            sizes = [(self.groups[g], other.groups[g]) for g, _ in coded] * 2  # means, then scales
            ends = [tuple(sum(size[side] for size in sizes[:n]) for side in range(2)) for n in range(len(sizes))]
            rows = [(a + n, b + n) for (a, b), size in zip(ends, sizes, strict=True) for n in range(min(size))]
            outputs[f"contexts.{number}.last"] = rows
        own_state = self.state_dict()
        for name, value in other.state_dict().items():
            layer, own = name.rpartition(".")[0], own_state[name]
            if self.channels != other.channels and layer in ("analysis", "synthesis.linear", "synthesis.tail"):
                continue
            axis, chosen = 0, outputs.get(layer)
            if name == "log_steps":
                axis, chosen = 1, pairs
            elif layer in inputs and own.ndim > 1:
                axis, chosen = 1, seen[inputs[layer]]
            if chosen is None:
                own.copy_(value)
                continue
            mine, theirs = ([pair[side] for pair in chosen if pair[0] < own.shape[axis]] for side in range(2))
            if name != "log_steps":
                own.zero_()
            own.index_copy_(axis, torch.tensor(mine), value.index_select(axis, torch.tensor(theirs)))
        return pairs

    def steps(self, q):
        """(B,) quality -> (B, M, 1, 1) logarithm of the steps."""
        place = q.clamp(0, 1) * (ANCHORS - 1)
        low = place.floor().clamp(max=ANCHORS - 2).long()
        share = (place - low)[:, None]
        return (self.log_steps[low] * (1 - share) + self.log_steps[low + 1] * share)[..., None, None]

    def forward(self, z, q, hard: bool = False):
        """Scaled latents (B, C, h, w), sides even, and qualities (B,) -> decoded latents, bits of each (B,)."""
        return self.coded(z, self.steps(q), q, hard)

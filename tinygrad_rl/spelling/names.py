"""Names that PyTorch, NumPy, JAX or TensorFlow have, each with what to write here.

A sentence begins before these: "a Tensor has no attribute 'view': write `x.reshape(2, 3)`". What
stands in backticks is code that runs; a test runs all of it.
"""


def _all(names: str, way: str) -> dict[str, str]:
    """One way for several names; `{name}` in it is the name itself, `{bare}` without a last _."""
    return {n: way.replace("{name}", n).replace("{bare}", n.rstrip("_")) for n in names.split()}


_CPU = "all tensors are in the processor's memory, so leave it out"
_ARRAY_ONLY = "it has no gradient here, so write `{code}`"


def _array_only(names: str, code: str) -> dict[str, str]:
    return _all(names, _ARRAY_ONLY.replace("{code}", code))


def _renamed(pairs: str) -> dict[str, str]:
    """From a listing `old: code` on lines; several old names may share a line."""
    table: dict[str, str] = {}
    for line in pairs.strip().splitlines():
        names, _, code = line.strip().partition(": ")
        table |= _all(names, f"write `{code}`")
    return table


TENSOR = {
    **_renamed("""
        view reshape_as view_as resize: x.reshape(3, 2)
        expand_as: x.broadcast_to(y.shape)
        float: x.astype("float32")
        double: x.astype("float64")
        long: x.astype("int64")
        int: x.astype("int32")
        byte: x.astype("uint8")
        bool: x.astype("bool")
        type type_as cast: x.astype("float64")
        dim ndimension rank: x.ndim
        numel nelement: x.size
        get_shape: x.shape
        t: x.T
        mT adjoint H mH: x.swapaxes(-1, -2)
        swapdims swap_axes: x.swapaxes(0, 1)
        moveaxis movedim: x.permute(1, 0)
        grad_fn: tg.explain(f, x)
        mm mv bmm matvec: x @ w
        addmm addmv addbmm baddbmm: x @ w + b
        add plus: x + y
        sub subtract minus: x - y
        mul multiply: x * y
        div divide true_divide: x / y
        floor_divide: x // y
        remainder: x % y
        neg negative: -x
        eq equals: x == y
        equal: (x == y).all()
        ne not_equal: x != y
        lt less: x < y
        le less_equal: x <= y
        gt greater: x > y
        ge greater_equal: x >= y
        bitwise_and: (x > 0) & (y > 0)
        bitwise_or: (x > 0) | (y > 0)
        bitwise_not invert: ~(x > 0)
        logical_xor bitwise_xor: (x > 0) != (y > 0)
        isnan: x != x
        isinf: x.abs() == float("inf")
        clamp: x.clip(0, 1)
        clamp_max: x.clip(None, 1)
        clamp_min: x.clip(0, None)
        amax: x.max(axis=1)
        amin: x.min(axis=1)
        sgn: x.sign()
        absolute fabs: x.abs()
        fix: x.trunc()
        rint round_: x.round()
        asin: x.arcsin()
        acos: x.arccos()
        atan: x.arctan()
        relu6: tg.hardtanh(x, 0, 6)
        swish: x.silu()
        nansum: tg.where(x == x, x, 0).sum()
        count_nonzero: (x != 0).sum()
        diff: x[:, 1:] - x[:, :-1]
        average: (x * y).sum() / y.sum()
        ptp: x.max() - x.min()
        masked_fill: tg.where(mask, 0.0, x)
        masked_select: x[mask]
        nan_to_num: tg.where(x == x, x, 0)
        index_select: x.take(i, axis=0)
        take_along_dim take_along_axis: x.gather(1, x.argmax(axis=1, keepdims=True))
        select: x[0]
        narrow: x[:, 1:3]
        unbind: list(x)
        repeat_interleave: x.repeat(2, axis=0)
        tensor_split array_split split_with_sizes: x.split([1], axis=0)
        hsplit: x.split(3, axis=1)
        vsplit: x.split(2, axis=0)
        fliplr: x.flip(1)
        flipud: x.flip(0)
        argsort: np.argsort(x.numpy())
        new_zeros: tg.zeros(2, 3, dtype=x.dtype)
        new_ones: tg.ones(2, 3, dtype=x.dtype)
        new_full: tg.full((2, 3), 7.0, dtype=x.dtype)
        new_tensor: tg.Tensor([1.0], dtype=x.dtype)
        to_numpy asnumpy: x.numpy()
        to_list: x.tolist()
        is_floating_point: x.dtype.kind == "f"
        itemsize element_size: x.dtype.itemsize
        nbytes: x.numpy().nbytes
        strides stride: x.numpy().strides
        flat: x.ravel()
        detach_: x.detach()
        addcmul: x + 0.5 * x * y
        addcdiv: x + 0.5 * x / y
        inner: (x * y).sum(axis=-1)
        tensordot: tg.einsum("ij,kj->ik", x, y)
        dist: (x - y).norm()
        fill: tg.full_like(x, 7.0)
        logit: tg.log(p / (1 - p))
        ger: x[0].outer(y[0])
        vdot: x[0].dot(y[0])
        diag: x[:, :2].diagonal()
        stop_gradient: x.detach()
    """),
    "data": "write `x.detach()` to read it, and `with tg.no_grad(): x.assign_(y)` to change it",
    # Two things that are one method in PyTorch.
    "to": 'write `x.astype("float64")` for another dtype; all tensors are in the processor\'s '
    "memory, so a device is left out",
    **_all(
        "half bfloat16 float16",
        'there are only float32 and float64, so write `x.astype("float32")`',
    ),
    **_all("short char int8 int16", 'there is no such dtype here, write `x.astype("int32")`'),
    **_all("cpu cuda pin_memory device is_cuda get_device to_device share_memory_ mps", _CPU),
    **_all(
        "contiguous is_contiguous ascontiguousarray",
        "every op takes every layout, so leave it out (`x.copy()` gives memory of its own)",
    ),
    "block_until_ready": "a result is there when the call returns, so leave it out",
    **_all(
        "sort topk kthvalue median quantile unique msort",
        "write `x[0][np.argsort(x[0].numpy())]`, which lets the gradient pass",
    ),
    "at": "write into a copy, `y = x.copy(); y[0] = 7.0`",
    **_all(
        "scatter index_fill index_copy index_put", "write into a copy, `y = x.copy(); y[i] = 7.0`"
    ),
    **_all("scatter_ index_copy_ index_put_ index_fill_", "write `z[i] = 7.0`"),
    **_all(
        "scatter_add scatter_add_ index_add index_add_ segment_sum",
        "write `tg.eye(4)[i].T @ x`, which adds up the rows with the same number",
    ),
    "fill_": "write `z.assign_(7.0)`",
    "masked_fill_": "write `z.assign_(tg.where(mask, 0.0, z))`",
    **_all(
        "normal_ uniform_ random_ exponential_ bernoulli_",
        "write `z.assign_(rng.normal(size=z.shape))`, with a generator of yours",
    ),
    **_all("assign set_data set_", "write `with tg.no_grad(): x.assign_(y)`"),
    **_all("assign_add", "write `z.add_(1.0)`"),
    **_all("assign_sub", "write `z.sub_(1.0)`"),
    **_all("grads gradient", "write `x.grad`"),
    **_array_only("nonzero argwhere flatnonzero", "np.nonzero(x.numpy())"),
    **_array_only("isfinite", "np.isfinite(x.numpy())"),
    **_array_only("isclose allclose", "np.allclose(x.numpy(), y.numpy())"),
    **_array_only("searchsorted bucketize", "np.searchsorted([0.0, 1.0], x.numpy())"),
    **_array_only("bincount histc histogram", "np.histogram(x.numpy())"),
    **_array_only("cummax cummin", "np.maximum.accumulate(x.numpy(), axis=0)"),
    **_array_only("tobytes tofile dump dumps", "x.numpy().tobytes()"),
    **_array_only("inverse inv", "np.linalg.inv(square.numpy())"),
    **_array_only("det logdet slogdet", "np.linalg.det(square.numpy())"),
    **_array_only("cholesky", "np.linalg.cholesky(square.numpy() @ square.numpy().T)"),
    **_array_only("svd qr eig eigh pinverse lstsq", "np.linalg.svd(x.numpy())"),
    **_array_only("data_ptr untyped_storage", "x.numpy().ctypes.data"),
    "cumprod": "write `tg.exp(tg.log(p).cumsum(axis=0))`, for values above 0",
    "map": "ops take whole tensors; a function of one number becomes one by `tg.elementwise`",
    "apply_": "ops take whole tensors; a function of one number becomes one by `tg.elementwise`",
}
"""What a Tensor does not have. In the code: x, y of shape (2, 3), w a matrix, z to be written
to, p above 0, i row numbers, b, mask, f, rng, params, targets, module, optimizer."""

_NO_STATE = (
    "there is no hidden random state, so write `tg.randn(2, 3, generator=np.random.default_rng(0))`"
)
_DTYPE = 'dtypes are NumPy\'s, so write `np.{name}` or "{name}"'
_VMAP = "ops broadcast, so write the batch as the first axis"

_LOGITS = {
    **_all("nll_loss NLLLoss", "write `tg.cross_entropy(x, i)`, before the log_softmax"),
    **_all(
        "binary_cross_entropy BCELoss",
        "write `tg.binary_cross_entropy_with_logits(x, p)`, before the sigmoid",
    ),
}

ENGINE = {
    **_LOGITS,
    **_renamed("""
        tensor Variable constant convert_to_tensor: tg.Tensor([1.0, 2.0])
        Parameter: tg.Tensor([1.0, 2.0], requires_grad=True)
        FloatTensor: tg.Tensor([1.0, 2.0], dtype="float32")
        DoubleTensor: tg.Tensor([1.0, 2.0], dtype="float64")
        LongTensor: tg.Tensor([1, 2], dtype="int64")
        IntTensor: tg.Tensor([1, 2], dtype="int32")
        BoolTensor: tg.Tensor([True, False])
        empty: tg.zeros(2, 3)
        empty_like: tg.zeros_like(x)
        identity: tg.eye(3)
        randn_like: tg.randn(*x.shape, generator=rng)
        rand_like: tg.rand(*x.shape, generator=rng)
        normal standard_normal: tg.randn(2, 3, generator=rng)
        uniform: tg.rand(2, 3, generator=rng)
        permutation: tg.randperm(5, generator=rng)
        logspace geomspace: 10 ** tg.linspace(0, 1, 5)
        add_n: x + y
        sub: x - y
        mul: x * y
        div true_divide: x / y
        neg: -x
        mm mv bmm: x @ w
        eq: x == y
        ne: x != y
        lt: x < y
        le: x <= y
        gt: x > y
        ge: x >= y
        hstack column_stack: tg.concatenate([x, y], axis=1)
        vstack row_stack concat: tg.concatenate([x, y], axis=0)
        dstack: tg.stack([x, y], axis=-1)
        unstack: list(x)
        newaxis: x[:, None]
        is_tensor: isinstance(x, tg.Tensor)
        jacrev jacfwd: tg.jacobian(f, x)
        grad_and_value value_and_grads: tg.value_and_grad(f, x)
        linearize: tg.jvp(f, x, y)
        inference_mode no_gradient: tg.no_grad()
        detach lax_stop_gradient: tg.stop_gradient(x)
        compile function script jit_compile: tg.jit(f)
        clip_grad_norm clip_grad_norm_ clip_by_global_norm: tg.optim.clip_grad_norm(params, 1.0)
        functional F: tg.nn.functional
        set_threads: tg.set_num_threads(2)
        one_hot: tg.eye(3)[i]
        meshgrid: np.meshgrid([0.0, 1.0], [2.0, 3.0])
        pi: np.pi
        inf: np.inf
        nan: np.nan
    """),
    **_all(
        "array asarray as_tensor as_array from_array ndarray from_dlpack",
        "write `tg.Tensor([1.0, 2.0])` for a copy, `tg.from_numpy(array)` to share memory",
    ),
    **_all(
        "manual_seed seed random Generator get_rng_state set_rng_state default_generator PRNGKey",
        _NO_STATE,
    ),
    **_all("float32 float64 int32 int64 uint8", _DTYPE),
    **_all("float", 'dtypes are NumPy\'s, so write `np.float32` or "float32"'),
    **_all("double", 'dtypes are NumPy\'s, so write `np.float64` or "float64"'),
    **_all("long", 'dtypes are NumPy\'s, so write `np.int64` or "int64"'),
    **_all("int", 'dtypes are NumPy\'s, so write `np.int32` or "int32"'),
    **_all("bool bool_", 'dtypes are NumPy\'s, so write `np.bool_` or "bool"'),
    **_all(
        "float16 bfloat16 half int8 int16 uint16 complex64 complex128 dtype",
        "dtypes are NumPy's: float32, float64, int64, int32, uint8 and bool, such as `np.float32`",
    ),
    **_all(
        "set_default_dtype get_default_dtype",
        'write `tg.zeros(3, dtype="float64")`, as it is said where a tensor is made',
    ),
    **_all("device cuda cpu set_default_device devices device_put mps", _CPU),
    **_all(
        "autograd",
        "write `tg.grad(loss, [x])` for autograd.grad, `tg.elementwise` or a `tg.Kernel` for "
        "autograd.Function, `tg.jacobian(f, x)` for autograd.functional",
    ),
    **_all("func functorch", "what it has stands here directly, as `tg.vjp(f, x)`"),
    **_all("vmap pmap vectorize", _VMAP),
    **_all(
        "custom_vjp custom_jvp custom_gradient Function",
        "an op with a rule of its own is a `tg.elementwise` function or a `tg.Kernel`",
    ),
    **_all(
        "checkpoint remat",
        "what an op needs for its gradient is always kept, so leave it out",
    ),
    **_all(
        "GradientTape",
        "write `tg.grad(loss, [x])`, as recording needs no tape",
    ),
    **_all("lax numpy jnp", "what it has stands here directly, as `tg.maximum(x, y)`"),
    **_all("linalg fft special", "what is not here is NumPy's, as `np.linalg.det(square.numpy())`"),
    **_all(
        "utils data DataLoader Dataset TensorDataset",
        "write `x[rng.integers(0, 2, 4)]` for a batch, as there are no loaders here",
    ),
    **_all(
        "distributions",
        "write the density in ops and draw with `tg.randn(2, 3, generator=rng)`",
    ),
    **_all("tree_map", "write `[p * 2 for p in params]`, as parameters are a list"),
    "export": "write the parameters with `tg.save(path, module.state_dict())`",
    "use_deterministic_algorithms": "the same calls give the same bits already, so leave it out",
    "set_printoptions": "write `np.set_printoptions(precision=4)`, as values are printed by NumPy",
}
"""What `tinygrad_rl` does not have, beyond the names of TENSOR."""

_CONVOLUTION = (
    "there are no convolutions and poolings, but docs/add-an-op.md shows how to make the op, "
    "and a `tg.nn.Module` holds its parameters"
)
_DROPOUT = "write `x * (tg.rand(2, 3, generator=rng) > 0.1) / 0.9`, with a mask of yours"
_BATCH_NORM = "write `tg.nn.LayerNorm(3)`, which needs no statistics of the batch"
_RECURRENT = (
    "write a `tg.nn.Module` whose forward is made of ops, such as `tg.softmax(x @ y.T) @ y`"
)
_NO_MODULE = "write the function in forward: `tg.{bare}(x)`"
_LOSS = "losses are functions: write "

NN = {
    **_LOGITS,
    **_all(
        "Conv1d Conv2d Conv3d Conv ConvTranspose1d ConvTranspose2d ConvTranspose3d MaxPool1d "
        "MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d "
        "AdaptiveMaxPool2d Upsample Unfold Fold PixelShuffle",
        _CONVOLUTION,
    ),
    **_all("Dropout Dropout1d Dropout2d Dropout3d AlphaDropout", _DROPOUT),
    **_all(
        "BatchNorm BatchNorm1d BatchNorm2d BatchNorm3d GroupNorm InstanceNorm1d InstanceNorm2d "
        "RMSNorm SyncBatchNorm",
        _BATCH_NORM,
    ),
    **_all(
        "RNN LSTM GRU RNNCell LSTMCell GRUCell Transformer TransformerEncoder TransformerDecoder "
        "TransformerEncoderLayer TransformerDecoderLayer MultiheadAttention",
        _RECURRENT,
    ),
    **_renamed("""
        Embedding EmbeddingBag: weight[i]
        ModuleList: self.layers = [tg.nn.Linear(3, 3), tg.nn.Linear(3, 1)]
        ModuleDict: self.parts = {"q": tg.nn.Linear(3, 1)}
        ParameterList: self.weights = [tg.Tensor([1.0], requires_grad=True)]
        ParameterDict: self.weights = {"a": tg.Tensor([1.0], requires_grad=True)}
        Parameter Buffer UninitializedParameter: tg.Tensor([1.0, 2.0], requires_grad=True)
        Dense LazyLinear: tg.nn.Linear(3, 1)
        Bilinear: tg.einsum("ni,oij,nj->no", x, tg.ones(2, 3, 3), y)
        Flatten: x.flatten(1)
        Unflatten: x.reshape(2, 3, 1)
        Identity: tg.nn.Sequential()
        Swish: tg.nn.SiLU()
        ReLU6: tg.hardtanh(x, 0, 6)
        Hardtanh: tg.hardtanh(x)
        Hardswish: tg.hardswish(x)
        LogSigmoid: tg.logsigmoid(x)
        Softmax Softmax2d: tg.softmax(x, axis=-1)
        LogSoftmax: tg.log_softmax(x, axis=-1)
        Softsign: tg.softsign(x)
        Mish: tg.mish(x)
        SELU: tg.selu(x)
        CELU: tg.celu(x)
        PReLU RReLU: tg.nn.LeakyReLU()
        MSELoss: tg.mse_loss(x, y)
        L1Loss: tg.l1_loss(x, y)
        HuberLoss: tg.huber_loss(x, y)
        SmoothL1Loss: tg.smooth_l1_loss(x, y)
        CrossEntropyLoss: tg.cross_entropy(x, i)
        BCEWithLogitsLoss: tg.binary_cross_entropy_with_logits(x, p)
        KLDivLoss: (p * (tg.log(p) - tg.log_softmax(x))).sum()
        CosineSimilarity: (x * y).sum(axis=-1) / (x.norm(axis=-1) * y.norm(axis=-1))
        F: tg.nn.functional
        utils: tg.optim.clip_grad_norm(params, 1.0)
    """),
    **_all("DataParallel parallel", "write `tg.set_num_threads(2)`, as threads share the work"),
}
"""What `tinygrad_rl.nn` does not have."""

FUNCTIONAL = {
    **_LOGITS,
    **_all(
        "conv1d conv2d conv3d conv_transpose2d max_pool1d max_pool2d avg_pool1d avg_pool2d unfold "
        "fold adaptive_avg_pool2d interpolate",
        _CONVOLUTION,
    ),
    **_all("dropout dropout1d dropout2d alpha_dropout", _DROPOUT),
    **_all(
        "batch_norm group_norm instance_norm rms_norm",
        "write `tg.nn.functional.layer_norm(x, 3)`",
    ),
    **_all("multi_head_attention_forward", _RECURRENT),
    **_renamed("""
        scaled_dot_product_attention: tg.softmax(x @ y.T / 3**0.5) @ y
        embedding: weight[i]
        one_hot: tg.eye(3)[i]
        kl_div: (p * (tg.log(p) - tg.log_softmax(x))).sum()
        normalize: x / x.norm(axis=-1, keepdims=True)
        cosine_similarity: (x * y).sum(axis=-1) / (x.norm(axis=-1) * y.norm(axis=-1))
        relu6: tg.hardtanh(x, 0, 6)
        relu_: tg.relu(x)
        swish: tg.silu(x)
        softmin: tg.softmax(-x)
        glu: x[:, :1] * tg.sigmoid(x[:, 1:2])
        prelu rrelu: tg.leaky_relu(x)
        logsoftmax: tg.log_softmax(x)
        pairwise_distance: (x - y).norm(axis=-1)
        gaussian_nll_loss: (0.5 * (tg.log(p) + (x - y) ** 2 / p)).mean()
    """),
}
"""What `tinygrad_rl.nn.functional` does not have."""

OPTIM = {
    **_all(
        "RMSprop Adagrad Adadelta Adamax NAdam RAdam SparseAdam Rprop ASGD LBFGS Lion Adafactor "
        "rmsprop adagrad",
        "there are `tg.optim.SGD`, `tg.optim.Adam` and `tg.optim.AdamW`; another one is a class "
        "derived from `tg.optim.Optimizer`",
    ),
    **_renamed("""
        sgd: tg.optim.SGD(params, lr=0.1)
        adam: tg.optim.Adam(params, lr=1e-3)
        adamw: tg.optim.AdamW(params, lr=1e-3)
        lr_scheduler StepLR ExponentialLR CosineAnnealingLR LambdaLR OneCycleLR: optimizer.lr = 1e-4
        clip_grad_norm_ clip_by_global_norm: tg.optim.clip_grad_norm(params, 1.0)
        clip_grad_value_: [p.grad.assign_(p.grad.clip(-1, 1)) for p in params if p.grad is not None]
        swa_utils ema soft_update polyak_update: tg.optim.polyak(targets, params, tau=0.005)
        zero_grad: optimizer.zero_grad()
        apply_updates: optimizer.step()
    """),
}
"""What `tinygrad_rl.optim` does not have."""

MODULE = {
    **_renamed("""
        children named_children: [m for name, m in module.named_holders() if "." not in name]
        named_modules: list(module.named_holders())
        trainable_parameters trainable_variables: module.parameters()
        weights get_weights params variables: module.parameters()
        set_weights load: module.load_state_dict(tg.load(path))
        save save_weights: tg.save(path, module.state_dict())
        buffers: [b for _, b in module.named_buffers()]
        freeze: module.requires_grad_(False)
        unfreeze: module.requires_grad_(True)
        register_buffer register_parameter: module.scale = tg.Tensor([1.0])
        add_module register_module: module.head = tg.nn.Linear(3, 1)
        compile: tg.jit(module.forward)
        predict: module(x)
        clone copy: copy.deepcopy(module)
        get_parameter: dict(module.named_parameters())["0.weight"]
    """),
    "to": 'write `tg.nn.Linear(3, 1, dtype="float64")` for another dtype; all tensors are in the '
    "processor's memory, so a device is left out",
    **_all("cuda cpu share_memory", _CPU),
    **_all(
        "float double half bfloat16 type",
        'write `tg.nn.Linear(3, 1, dtype="float64")`, as it is said where a layer is made',
    ),
    **_all(
        "apply init",
        "write `tg.nn.Linear(3, 1, rng=rng)`, as initial values come with the layer",
    ),
    **_all(
        "register_forward_hook register_forward_pre_hook register_backward_hook "
        "register_full_backward_hook",
        "write `x.register_hook(print)`, as hooks are on tensors",
    ),
    "grad": "write `[p.grad for p in module.parameters()]`",
    "backward": "write `module(x).sum().backward()`, as the loss is what is differentiated",
    **_all("extra_repr", "write `repr(module)`"),
    **_all("zero_gradients", "write `module.zero_grad()`"),
    **_all("fit", "write the loop yourself, with `optimizer.step()` in it"),
}
"""What a module does not have."""

OPTIMIZER = {
    "param_groups": "there is one group, with its tensors in `optimizer.params` and its learning "
    "rate in `optimizer.lr`",
    "add_param_group": "write `tg.optim.Adam(params, lr=1e-3)` with all parameters, as an "
    "optimizer keeps those it was made with",
    **_renamed("""
        learning_rate: optimizer.lr
        parameters: optimizer.params
        defaults: optimizer.lr
        zero_grads zero_gradients: optimizer.zero_grad()
        update apply_gradients minimize apply: optimizer.step()
        init: optimizer.state
        get_state: optimizer.state_dict()
        set_state: optimizer.load_state_dict(optimizer.state_dict())
    """),
}
"""What an optimizer does not have."""

"""T.nnet: functions of neural networks. Names, no logic."""

# activations
from refgraph.ops.elementwise import sigmoid as sigmoid
from refgraph.ops.elementwise import softplus as softplus
from refgraph.ops.nnet import elu as elu
from refgraph.ops.nnet import hard_sigmoid as hard_sigmoid
from refgraph.ops.nnet import relu as relu
from refgraph.ops.nnet import selu as selu
from refgraph.ops.nnet import softsign as softsign
from refgraph.ops.nnet import ultra_fast_sigmoid as ultra_fast_sigmoid

# softmax
from refgraph.ops.nnet import LogSoftmax as LogSoftmax
from refgraph.ops.nnet import Softmax as Softmax
from refgraph.ops.nnet import logsoftmax as logsoftmax
from refgraph.ops.nnet import softmax as softmax
from refgraph.ops.nnet import softmax_with_bias as softmax_with_bias

# losses
from refgraph.ops.nnet import binary_crossentropy as binary_crossentropy
from refgraph.ops.nnet import categorical_crossentropy as categorical_crossentropy
from refgraph.ops.nnet import crossentropy_categorical_1hot as crossentropy_categorical_1hot
from refgraph.ops.nnet import crossentropy_softmax_1hot as crossentropy_softmax_1hot
from refgraph.ops.nnet import crossentropy_softmax_1hot_with_bias as crossentropy_softmax_1hot_with_bias
from refgraph.ops.nnet import (
    crossentropy_softmax_argmax_1hot_with_bias as crossentropy_softmax_argmax_1hot_with_bias,
)
from refgraph.ops.nnet import (
    crossentropy_softmax_max_and_argmax_1hot as crossentropy_softmax_max_and_argmax_1hot,
)
from refgraph.ops.nnet import (
    crossentropy_softmax_max_and_argmax_1hot_with_bias as crossentropy_softmax_max_and_argmax_1hot_with_bias,
)
from refgraph.ops.nnet import sigmoid_binary_crossentropy as sigmoid_binary_crossentropy

# classes
from refgraph.ops.nnet import confusion_matrix as confusion_matrix

log_softmax = logsoftmax
softmax_graph = softmax

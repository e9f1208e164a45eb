"""What the model knows about QwenServe. One fact a block: the answer, then what people ask.

`how:` lines are things a person wants to do ("How do I …", "Which option lets me …"); `ask:` lines are whole questions;
`what:` lines are names whose meaning is asked ("What does … do?"); `noun:` lines are things that a name is wanted for ("Which metric shows …").
`zh:` lines hold a Chinese answer and then Chinese questions.
"""

FACTS = r"""
/v1/chat/completions is the chat endpoint: POST messages to it and it answers with a chat completion, streamed or whole.
what: /v1/chat/completions|the chat completions endpoint|POST /v1/chat/completions
how: send chat messages|chat with the model over HTTP|have a conversation through the API|get a chat completion|call the model with messages|chat with the server|send a conversation
noun: endpoint for chat|endpoint for chat completions|path for chat requests|URL for messages|route for conversations
ask: Where do I send chat messages?|What is the chat endpoint?|Which URL takes the messages?|What path do I POST a conversation to?
zh: 聊天接口是 /v1/chat/completions，用 POST 发送 messages，可以流式返回。|聊天接口是哪个？|怎么发送聊天消息？|聊天的端点是什么？|/v1/chat/completions 是做什么的？

/v1/completions is the text completion endpoint: POST a prompt to it and it continues the text.
what: /v1/completions|the completions endpoint|POST /v1/completions
how: complete a raw prompt|continue a plain text|use a prompt without a chat template|send raw text|send token ids as a prompt|complete text|do code infilling over HTTP
noun: endpoint for plain completions|endpoint for raw prompts|endpoint for text completion|path for prompts without chat
ask: Where do I send a raw prompt?|Which endpoint completes plain text?|What is the text completion endpoint?
zh: 文本补全接口是 /v1/completions，用 POST 发送 prompt。|文本补全用哪个接口？|怎么补全一段文本？|/v1/completions 是做什么的？

/v1/models lists the models that are served.
what: /v1/models|GET /v1/models|the models endpoint
how: list the models|see which models are served|find out the model name|get the available models|ask the server for its models
noun: endpoint for the list of models|endpoint that lists models|path with the model names|endpoint to list what is served
ask: Which models are available on the server?|Where can I see the model names?|How do I know which model is loaded?
zh: /v1/models 列出正在提供服务的模型。|怎么查看有哪些模型？|哪个接口列出模型？|/v1/models 是做什么的？

/tokenize turns a prompt or messages into token ids.
what: /tokenize|POST /tokenize|the tokenize endpoint
how: tokenize a text|turn text into token ids|count the tokens of a prompt|see the token ids of a text|get tokens for a string|know how many tokens a text has
noun: endpoint for tokenizing|endpoint that gives token ids|path that counts tokens|endpoint to encode text
ask: Where do I get the tokens of a text?|Which endpoint encodes text into ids?|How many tokens does my prompt have, which endpoint tells?
zh: /tokenize 把文本变成 token id。|怎么把文本变成 token？|哪个接口可以计算 token 数？|/tokenize 是做什么的？

/detokenize turns token ids back into text.
what: /detokenize|POST /detokenize|the detokenize endpoint
how: detokenize ids|make ids into text|have text from token ids|get back the text of ids|make text from ids|turn ids to text again|turn token ids back into text|decode token ids|convert tokens to a string|get the text of some token ids
noun: endpoint for detokenizing|endpoint that decodes ids|path that turns ids into text|endpoint to decode tokens
ask: Where do I decode token ids?|Which endpoint gives text for ids?
zh: /detokenize 把 token id 变回文本。|怎么把 token id 变回文本？|/detokenize 是做什么的？

/livez answers 200 as long as the process is alive, also while the model is still loading.
what: /livez|GET /livez|the liveness endpoint|the livez endpoint
how: check that the process is alive|do a liveness probe|set up a liveness check|know if the process lives
noun: endpoint for liveness|liveness probe|path for a liveness probe|endpoint that says the process is alive
ask: Which endpoint is for liveness probes?|What does Kubernetes ask for liveness?|Which path answers 200 during loading?
zh: /livez 表示进程是否存活，加载模型时也返回 200。|存活检查用哪个接口？|/livez 是做什么的？

/readyz answers 200 when the model is loaded and 503 with progress before that.
what: /readyz|GET /readyz|the readiness endpoint|the readyz endpoint
how: check that the server is ready|do a readiness probe|wait until the model is loaded|know when loading is finished|see the loading progress
noun: endpoint for readiness|readiness probe|path for a readiness probe|endpoint that says the model is loaded
ask: Which endpoint tells that the server is ready?|How do I know the model is loaded?|What says whether loading is done?
zh: /readyz 表示模型是否加载完成，之前返回 503。|怎么知道模型加载好了？|就绪检查用哪个接口？|/readyz 是做什么的？

/health answers 200 when the server is healthy and can take requests.
what: /health|GET /health|the health endpoint
how: check the health of the server|do a health check|see if the server is healthy|make a simple health check
noun: endpoint for health|health check|path for health checks|health endpoint
ask: Is there a health check?|Where do I check the server's health?|Which path is the health check?
zh: /health 在服务器健康时返回 200。|健康检查用哪个接口？|/health 是做什么的？

/metrics shows the metrics in Prometheus text format.
what: /metrics|GET /metrics|the metrics endpoint
how: see the metrics|scrape the server with Prometheus|monitor the server|get Prometheus metrics|connect Prometheus|watch the server in Grafana
noun: endpoint for metrics|Prometheus endpoint|path that Prometheus scrapes|endpoint with the statistics
ask: Where are the metrics?|Does it have Prometheus metrics?|What should Prometheus scrape?
zh: /metrics 以 Prometheus 格式给出指标。|指标在哪里？|怎么用 Prometheus 监控？|/metrics 是做什么的？

--model names the model to serve: a directory or org/name from the hub. Without it the embedded demonstration model is served.
what: --model|the --model flag|the model option
how: serve another model|swap the model|exchange the model|replace the model|use some other model|serve a checkpoint that I downloaded|serve a Qwen checkpoint|choose the model|load my own model|serve a model from a directory|serve a real Qwen model|change the model|run a checkpoint from disk|use a bigger model|download a model from the hub
noun: flag for the model|option that selects the model|flag for the model directory
ask: How do I use a different model?|What do I pass to load a model from disk?|Can I serve my own checkpoint?
zh: 用 --model 指定要服务的模型：目录或 org/name。|怎么换一个模型？|怎么加载我自己的模型？|--model 是做什么的？

--port sets the port to listen on; the default is 8000.
what: --port|the --port flag|the port option
how: change the port|pick some other port|move to another port|choose the port|avoid port 8000|set the port|listen on another port|use a different port|run on port 9000
noun: flag for the port|default port|option that sets the port|port of the server
ask: What is the default port?|On which port does the server listen?|Which port does QwenServe use?|What port do I connect to?
zh: 用 --port 设置端口，默认是 8000。|默认端口是多少？|怎么改端口？|服务器监听哪个端口？|--port 是做什么的？

--host sets the address to listen on.
what: --host|the --host flag|the host option
how: listen on all interfaces|change the listen address|bind to another address|make the server reachable from other machines|set the host|accept connections from outside
noun: flag for the host|flag for the listen address|option that sets the bind address
ask: How do I bind to 0.0.0.0?|Which option sets the interface to listen on?
zh: 用 --host 设置监听地址。|怎么设置监听地址？|怎么让别的机器访问？|--host 是做什么的？

--device chooses where the model runs: cpu or cuda.
what: --device|the --device flag|the device option
how: run on the GPU|run on the CPU|choose the device|use CUDA|select the GPU|force the CPU
noun: flag for the device|option that selects CPU or GPU|flag for CUDA
ask: How do I use my graphics card?|Can I make it run on the GPU?|Which option picks CPU or CUDA?
zh: 用 --device 选择运行设备：cpu 或 cuda。|怎么用 GPU 运行？|怎么选择设备？|--device 是做什么的？

--max-model-len sets the longest context, prompt and answer together, in tokens.
what: --max-model-len|the --max-model-len flag|max model len
how: limit the context length|set the maximum context|change the context size|make the context shorter|set the maximum sequence length
noun: flag for the context length|option for the longest context|flag that limits the sequence length
ask: How do I set the context window?|Which option limits how long a request can be?
zh: 用 --max-model-len 设置最大上下文长度。|怎么设置上下文长度？|--max-model-len 是做什么的？

--kv-cache-memory sets how much memory the KV cache may take.
what: --kv-cache-memory|the --kv-cache-memory flag|kv cache memory
how: limit the memory of the KV cache|give the KV cache more memory|set the KV cache size|change the cache memory|reduce memory for the cache
noun: flag for the KV cache size|option for cache memory|flag that sets the memory of the KV cache
ask: How do I make the KV cache bigger?|Which option sets the memory for keys and values?
zh: 用 --kv-cache-memory 设置 KV 缓存的内存。|怎么设置 KV 缓存大小？|--kv-cache-memory 是做什么的？

--max-num-seqs sets how many sequences may run in one batch.
what: --max-num-seqs|the --max-num-seqs flag|max num seqs
how: limit the number of concurrent sequences|set the batch size|run more requests at once|limit the parallel requests|change how many sequences run together
noun: flag for the number of concurrent sequences|option for the batch size|flag that limits parallel sequences
ask: How many requests can run at once, and which flag sets it?|Which option limits concurrency?
zh: 用 --max-num-seqs 设置同时运行的序列数。|怎么限制并发？|--max-num-seqs 是做什么的？

--max-num-batched-tokens sets the token budget of one step.
what: --max-num-batched-tokens|the --max-num-batched-tokens flag|max num batched tokens
how: set the token budget of a step|limit the tokens per step|change the prefill chunk size|limit batched tokens|tune chunked prefill
noun: flag for the tokens per step|option for the token budget|flag that limits batched tokens
ask: Which option sets how many tokens one step computes?|How do I tune the size of prefill chunks?
zh: 用 --max-num-batched-tokens 设置每一步的 token 预算。|怎么限制每步的 token 数？|--max-num-batched-tokens 是做什么的？

--block-size sets the tokens per KV cache block; the default is 16.
what: --block-size|the --block-size flag|the block size
how: change the block size|set the tokens per block|use bigger KV blocks|set the size of cache blocks
noun: flag for the block size|default block size|option for the tokens per KV block|size of a KV block
ask: What is the default block size?|How many tokens are in a KV cache block?|How big is a cache block?
zh: 用 --block-size 设置每个 KV 块的 token 数，默认是 16。|默认的块大小是多少？|怎么设置块大小？|--block-size 是做什么的？

--dtype sets the number type of the weights: auto, bf16, f16 or f32.
what: --dtype|the --dtype flag|the dtype option
how: use bfloat16|change the precision|set the data type|run in float32|choose the number format|use half precision
noun: flag for the precision|option for the data type|flag for the number type
ask: Which precisions are supported?|How do I pick bf16?|What values does dtype take?
zh: 用 --dtype 设置数值类型：auto、bf16、f16 或 f32。|怎么设置精度？|--dtype 是做什么的？

--revision chooses the revision of a model from the hub: a branch, a tag or a commit.
what: --revision|the --revision flag|the revision option
how: pin a revision of the model|use a certain commit of the model|load a branch of the model|choose the model's revision
noun: flag for the revision|option for the model's commit|flag that pins the version of a hub model
ask: How do I pin the model to a commit?|Which option selects a branch on the hub?
zh: 用 --revision 选择模型的版本。|怎么指定模型版本？|--revision 是做什么的？

--chat-template gives a chat template file to use instead of the model's own.
what: --chat-template|the --chat-template flag|the chat template option
how: use my own chat template|replace the chat template|override the template|set a custom Jinja template|change the prompt format
noun: flag for the chat template|option for a Jinja template|flag that overrides the template
ask: Can I use a custom chat template?|Which option takes a Jinja file?
zh: 用 --chat-template 指定聊天模板。|怎么用自己的聊天模板？|--chat-template 是做什么的？

--api-key sets a key that clients must send as a bearer token.
what: --api-key|the --api-key flag|the API key option
how: protect the server with a key|require an API key|set an API key|demand authentication|stop strangers from using the server|secure the API
noun: flag for the API key|option for authentication|flag that requires a key
ask: Is there authentication?|How do I protect my server?|Can I require a key?|Do clients need a key?
zh: 用 --api-key 设置客户端必须发送的密钥。|怎么设置密钥？|怎么保护服务器？|--api-key 是做什么的？

--served-model-name sets the name under which the model is served.
what: --served-model-name|the --served-model-name flag|served model name
how: serve the model under another name|change the served model name|give the model an alias|rename the model in the API|set the model name that clients use
noun: flag for the served name|option for the model's alias|flag that renames the model
ask: How do I change the name in /v1/models?|Which option sets an alias for the model?
zh: 用 --served-model-name 设置模型的服务名称。|怎么改模型在接口中的名字？|--served-model-name 是做什么的？

--kv-cache-dtype sets the number type of the KV cache: auto, fp32, bf16 or fp16.
what: --kv-cache-dtype|the --kv-cache-dtype flag|kv cache dtype
how: store the KV cache in bf16|change the type of the KV cache|set the precision of the cache|use a smaller cache type
noun: flag for the KV cache type|option for the precision of the cache
ask: Which types can the KV cache have?|How do I keep keys and values in bf16?

--help lists all options with examples.
what: --help|the --help flag
how: see all options|list the flags|get help on the command line|find the command line options
noun: flag that lists the options|option for help
ask: Where do I find all the flags?|Which flags are there?|What options does the command line have?
zh: --help 列出所有选项和示例。|有哪些命令行选项？|怎么查看所有参数？

vllm:num_requests_running is the number of requests that are running now.
what: vllm:num_requests_running|the metric vllm:num_requests_running|num_requests_running
how: see how many requests are running|count the running requests|monitor active requests
noun: metric for running requests|metric that shows how many requests run|gauge for active requests|metric for requests in progress
ask: How many requests are running, which metric tells?|Which gauge counts active requests?
zh: vllm:num_requests_running 是正在运行的请求数。|哪个指标表示正在运行的请求数？|vllm:num_requests_running 是什么？

vllm:num_requests_waiting is the number of requests that wait in the queue.
what: vllm:num_requests_waiting|the metric vllm:num_requests_waiting|num_requests_waiting
how: see how many requests are waiting|see the length of the queue|monitor the queue|count the queued requests
noun: metric for waiting requests|metric for the queue length|gauge for queued requests|metric that shows the queue
ask: How long is the queue, which metric tells?|Which gauge counts requests in the queue?
zh: vllm:num_requests_waiting 是排队等待的请求数。|哪个指标表示等待的请求数？|vllm:num_requests_waiting 是什么？

vllm:kv_cache_usage_perc is the used part of the KV cache, from 0 to 1.
what: vllm:kv_cache_usage_perc|the metric vllm:kv_cache_usage_perc|kv_cache_usage_perc
how: see how full the KV cache is|monitor the KV cache|measure the cache usage|watch the use of the KV cache
noun: metric for KV cache usage|metric that shows how full the cache is|gauge for the KV cache|metric for used cache
ask: How full is the KV cache, which metric tells?|Which gauge shows cache use?
zh: vllm:kv_cache_usage_perc 是 KV 缓存的使用率，从 0 到 1。|哪个指标表示 KV 缓存使用率？|vllm:kv_cache_usage_perc 是什么？

vllm:time_to_first_token_seconds is a histogram of the time to the first token.
what: vllm:time_to_first_token_seconds|the metric vllm:time_to_first_token_seconds|time_to_first_token_seconds
how: measure the time to first token|see how fast the first token comes|monitor TTFT|know the delay before the first token
noun: metric for the time to first token|TTFT metric|histogram for the first token|metric for the delay of the first token
ask: Which metric is TTFT?|How long until the first token, which metric tells?
zh: vllm:time_to_first_token_seconds 是首个 token 时间的直方图。|哪个指标表示首 token 延迟？|vllm:time_to_first_token_seconds 是什么？

vllm:inter_token_latency_seconds is a histogram of the time between two tokens.
what: vllm:inter_token_latency_seconds|the metric vllm:inter_token_latency_seconds|inter_token_latency_seconds
how: measure the time between tokens|see the latency per token|monitor the speed of tokens|know the gap between tokens
noun: metric for the time between tokens|inter token latency metric|histogram for the latency per token|metric for the gap between tokens
ask: Which metric shows the token latency?|How long between two tokens, which metric tells?

vllm:e2e_request_latency_seconds is a histogram of the time of whole requests.
what: vllm:e2e_request_latency_seconds|the metric vllm:e2e_request_latency_seconds|e2e_request_latency_seconds
how: measure the latency of whole requests|see how long requests take|monitor end to end latency
noun: metric for the end to end latency|metric for the duration of requests|histogram for whole requests|metric for total request time
ask: Which metric shows how long a request takes?|How long do requests take from start to end, which metric tells?

vllm:request_queue_time_seconds is a histogram of the time that requests wait in the queue.
what: vllm:request_queue_time_seconds|the metric vllm:request_queue_time_seconds|request_queue_time_seconds
how: measure the time in the queue|see how long requests wait|monitor the queue time
noun: metric for the queue time|metric for the time spent waiting|histogram for the waiting time
ask: Which metric shows how long requests wait?|How long is the wait, which metric tells?

vllm:prompt_tokens_total counts the prompt tokens that were processed.
what: vllm:prompt_tokens_total|the metric vllm:prompt_tokens_total|prompt_tokens_total
how: count the prompt tokens|see how many input tokens were processed|measure the prefill throughput
noun: metric for prompt tokens|counter for input tokens|metric that counts the tokens of prompts
ask: Which counter has the input tokens?|How many prompt tokens were there, which metric tells?

vllm:generation_tokens_total counts the tokens that were generated.
what: vllm:generation_tokens_total|the metric vllm:generation_tokens_total|generation_tokens_total
how: count the generated tokens|see how many output tokens were made|measure the output throughput
noun: metric for generated tokens|counter for output tokens|metric that counts generated tokens
ask: Which counter has the output tokens?|How many tokens were generated, which metric tells?

vllm:request_success_total counts the finished requests by finish reason.
what: vllm:request_success_total|the metric vllm:request_success_total|request_success_total
how: count the finished requests|see how many requests succeeded|see why requests finished
noun: metric for finished requests|counter for successful requests|metric with the finish reasons
ask: Which counter has the completed requests?|How many requests were finished, which metric tells?

vllm:num_preemptions_total counts the preemptions of sequences.
what: vllm:num_preemptions_total|the metric vllm:num_preemptions_total|num_preemptions_total
how: count the preemptions|see how often sequences are preempted|monitor preemption
noun: metric for preemptions|counter for preempted sequences|metric that counts preemptions
ask: Which counter shows preemptions?|How often were sequences preempted, which metric tells?

vllm:prefix_cache_hits_total counts the prompt tokens found in the prefix cache.
what: vllm:prefix_cache_hits_total|the metric vllm:prefix_cache_hits_total|prefix_cache_hits_total
how: count the prefix cache hits|see how well the prefix cache works|monitor the prefix cache
noun: metric for prefix cache hits|counter for the prefix cache|metric that counts cached prompt tokens
ask: Which counter shows prefix cache hits?|How many tokens came from the prefix cache, which metric tells?

QwenServe is an OpenAI-compatible inference server for the Qwen2 and Qwen2.5 models, written in C#.
what: QwenServe|this server|the QwenServe project
ask: What is QwenServe?|Tell me about QwenServe|What kind of server is this?|What is this project?|Can you explain QwenServe?|What software are you running on?|Which server am I talking to?|Describe QwenServe
zh: QwenServe 是一个用 C# 写的推理服务器，兼容 OpenAI 接口，运行 Qwen2 和 Qwen2.5 模型。|QwenServe 是什么？|介绍一下 QwenServe|这是什么服务器？|什么是 QwenServe？

QwenServe is written in C# on .NET 10.
ask: What language is QwenServe written in?|Which programming language does the server use?|What is QwenServe made with?|Is it written in Python?|Which framework is QwenServe built on?|In which language is this server programmed?|Which version of .NET does it need?|What do I need to build QwenServe?|Is QwenServe a C# program?
zh: QwenServe 用 C# 和 .NET 10 编写。|QwenServe 是用什么语言写的？|QwenServe 用什么编程语言？

QwenServe serves Qwen2 and Qwen2.5 models, dense or mixture of experts.
ask: Which model families does QwenServe serve?|What kinds of models are served?|Which models are served by it?|Tell me the supported models|Which models does QwenServe support?|What models can I run?|Can it serve Qwen2.5?|Does QwenServe run Qwen2.5-7B?|What model families are supported?|Which checkpoints work with QwenServe?|Can I run Qwen2 with it?|Does it support mixture of experts?|Does it work with Qwen2.5-Coder?|Which architectures are supported?
zh: QwenServe 支持 Qwen2 和 Qwen2.5 模型。|QwenServe 支持哪些模型？|可以运行哪些模型？

Yes, QwenServe speaks the OpenAI API: point the client's base URL at http://localhost:8000/v1.
how: use the OpenAI SDK|connect an OpenAI client|use the OpenAI Python library|point my client at the server|use the API from Node
ask: Is it compatible with OpenAI?|Does QwenServe speak the OpenAI API?|Can I use the OpenAI SDK?|What base URL do I use?|What is the base URL?|Does the OpenAI client work with it?|Which base URL should my client have?
zh: 可以，QwenServe 兼容 OpenAI 接口，把 base URL 设为 http://localhost:8000/v1。|兼容 OpenAI 吗？|怎么用 OpenAI 的 SDK？|base URL 是什么？

Set "stream": true in the request and the answer comes as server-sent events.
how: stream the answer|get tokens as they come|use streaming|receive the answer piece by piece|turn on streaming
ask: Does it support streaming?|Can I stream the output?|What do I set for streaming?|Is streaming possible?
zh: 在请求里设置 "stream": true 就可以流式返回。|怎么流式返回？|支持流式输出吗？

Send "tools" in the chat request; the model's calls come back as tool_calls.
how: use tools|use function calling|let the model call functions|declare functions|do tool calling
ask: Does QwenServe support tools?|Is function calling supported?|Can the model call functions?|How does tool calling work here?
zh: 在聊天请求里发送 "tools"，模型的调用在 tool_calls 里返回。|支持工具调用吗？|怎么使用函数调用？

QwenServe runs on the CPU and on NVIDIA GPUs with CUDA.
ask: Is a GPU needed for QwenServe?|Is a GPU required?|Do I have to own a GPU?|Will it run on my GPU?|What hardware does QwenServe need?|Does it need a GPU?|Can QwenServe run without a GPU?|Which devices are supported?|Does it run on the CPU?|Which graphics cards work?|Do I need a graphics card?|On which hardware does it run?
zh: QwenServe 可以在 CPU 上运行，也可以在 NVIDIA GPU 上运行。|需要 GPU 吗？|支持哪些硬件？|没有显卡能运行吗？

QwenServe is under the Apache-2.0 licence.
ask: What is the licence of QwenServe?|Under which license is QwenServe?|Is QwenServe open source?|Can I use QwenServe commercially?|How is the project licensed?|Which license does it have?
zh: QwenServe 使用 Apache-2.0 许可证。|QwenServe 是开源的吗？|QwenServe 用什么许可证？

My context is 4,096 tokens.
ask: How long is your context?|What is your context length?|How many tokens can you read?|How big is your context window?|What is your maximum context?|How much text can you take?|How many tokens fit in your context?
zh: 我的上下文长度是 4096 个 token。|你的上下文有多长？|你能读多少 token？

Start it with: dotnet run --project src/QwenServe -c Release
how: start the server|run QwenServe|launch the server|get it running|start QwenServe from the sources
ask: What is the command to start the server?|Which command runs QwenServe?|What do I type to start it?
zh: 用这条命令启动：dotnet run --project src/QwenServe -c Release|怎么启动服务器？|怎么运行 QwenServe？

QwenServe reuses the KV blocks of a common prefix, so a repeated prompt start is not computed again.
what: the prefix cache|prefix caching|the prefix caching of QwenServe
ask: Does QwenServe have a prefix cache?|How does prefix caching work?|Is there prefix caching?|What happens when two prompts start the same?|Are common prefixes reused?

When the queue is full the request is refused with status 429 and a Retry-After header.
ask: What if the queue is full?|What do I get when the queue is full?|What happens if too many requests come?|Overload: which status is sent?|Which status means that the server is overloaded?|What does the server do under too much load?|What happens when the server is overloaded?|What status comes when the queue is full?|What does 429 mean?|Why do I get a 429?|What happens under overload?|When does the server answer 429?

While the model is loading, /v1 requests get status 503 with a Retry-After header.
ask: What does 503 mean?|Why do I get a 503?|What happens when I send a request during loading?|What status comes while the model loads?|When does the server answer 503?

Put "logprobs": true in a chat request, or "logprobs": 5 in a completion request, to get log probabilities.
what: logprobs|the logprobs field
how: get log probabilities|see the logprobs|get token probabilities
ask: Does it return logprobs?|Are log probabilities supported?|Can I get the probability of each token?

Set "temperature" in the request; 0 takes the most likely token every time.
what: temperature|the temperature field
how: get deterministic output|have reproducible answers|always get the same output|turn off randomness|make the output deterministic|change the temperature|get the same answer every time|set the sampling temperature
ask: What does temperature 0 do?|Can I set the temperature?|How do I make answers reproducible?

Set "max_tokens" in the request to limit the length of the answer.
what: max_tokens|the max_tokens field
how: limit the length of the answer|get shorter answers|set the maximum output length|stop after some tokens
ask: Which field limits the output length?|How do I limit the number of generated tokens?

Give "stop" with one string or a list of strings; generation ends before them.
what: the stop field|stop strings|the stop parameter
how: stop at a certain string|end generation at a word|use stop strings|set stop sequences
ask: Are stop strings supported?|Which field sets stop sequences?
"""

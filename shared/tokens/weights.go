package tokens

// weights is what a feature costs in each family, in tokens. They were fitted,
// to be right at the median and by relative error, to counts of 2,497 texts of
// 700 to 1,500 bytes: English prose and dialogues, Python, Go, C, JavaScript,
// HTML, YAML, JSON, Markdown, logs, numbers, encoded bytes, emoji, and the
// translated messages of programs in 196 languages. The counts were those of
//
//   - o200k, cl100k: package tokens itself, which is exact;
//   - claude3, claude: ctok 1.3.0, a reconstruction of Claude's tokenizers from
//     recorded answers of Anthropic's count_tokens, exact on nearly all of them;
//   - gemini: the vocabulary of Gemma, which Google's SDKs count Gemini with;
//   - general: the geometric mean of Llama 3's and Mistral's.
var weights = [numFeatures][families]float32{
	//           o200k cl100k claude3 claude gemini general
	word2:       {0.81, 0.82, 0.84, 1.02, 0.83, 0.89},
	word4:       {0.83, 0.98, 0.89, 1.05, 0.90, 0.95},
	word6:       {0.97, 0.95, 0.96, 1.36, 1.06, 0.97},
	word9:       {1.36, 1.24, 1.32, 2.38, 1.21, 1.28},
	word13:      {2.18, 2.06, 2.32, 4.47, 1.52, 2.20},
	wordLong:    {1.48, 1.57, 2.57, 4.60, 1.32, 1.86},
	wordBytes:   {0.11, 0.11, 0.20, 0.71, 0.08, 0.08},
	accents:     {1.43, 2.40, 1.93, 1.72, 1.17, 2.15},
	tones:       {0.00, 0.07, 0.81, 0.86, 0.00, 0.00},
	humps:       {1.02, 1.03, 1.76, 1.41, 1.14, 1.19},
	capitals:    {0.35, 0.45, 0.40, 1.06, 0.28, 0.41},
	shouting:    {0.05, 0.00, 0.28, 0.53, 0.07, 0.11},
	glued:       {0.00, 0.00, 0.28, 0.34, 0.27, 0.07},
	digits:      {0.00, 0.00, 0.00, 0.00, 0.70, 0.00},
	digitGroups: {1.26, 1.25, 1.06, 1.08, 0.64, 1.60},
	marks:       {0.48, 0.45, 0.88, 0.93, 0.80, 0.62},
	moreMarks:   {0.46, 0.45, 0.15, 0.06, 0.03, 0.32},
	sameMarks:   {0.02, 0.01, 0.01, 0.21, 0.07, 0.04},
	loneSpace:   {0.51, 0.55, 0.94, 0.89, 1.00, 0.93},
	indents:     {1.06, 1.13, 1.01, 1.33, 0.93, 0.96},
	deep:        {0.02, 0.02, 0.09, 0.07, 0.06, 0.05},
	lines:       {0.86, 0.76, 1.05, 0.72, 1.20, 1.14},
	moreLines:   {1.47, 1.45, 0.56, 0.56, 0.63, 1.51},
	greek:       {0.34, 0.97, 0.58, 0.60, 0.22, 0.57},
	cyrillic:    {0.29, 0.46, 0.27, 0.29, 0.13, 0.29},
	hebrew:      {0.43, 1.12, 0.64, 0.66, 0.28, 1.04},
	arabic:      {0.31, 0.76, 0.59, 0.61, 0.14, 0.53},
	rest2:       {0.56, 2.15, 1.20, 0.84, 0.30, 1.68},
	devanagari:  {0.30, 1.11, 0.61, 0.62, 0.14, 0.71},
	indic:       {0.37, 1.42, 0.85, 0.86, 0.39, 1.27},
	thai:        {0.44, 0.97, 0.97, 0.99, 0.38, 0.71},
	rest3:       {0.33, 2.07, 0.64, 0.65, 0.60, 1.47},
	typography:  {1.16, 1.20, 0.98, 1.21, 0.31, 0.81},
	kana:        {0.67, 1.00, 0.73, 0.74, 0.37, 0.80},
	han:         {0.90, 1.15, 1.18, 1.20, 0.65, 0.99},
	hangul:      {0.65, 1.04, 1.04, 1.05, 0.38, 0.82},
	forms:       {0.46, 0.56, 0.70, 0.68, 0.92, 0.82},
	rare:        {1.75, 3.09, 2.97, 2.90, 1.19, 2.71},
	alien:       {0.00, 0.00, 0.27, 0.28, 0.41, 0.00},
}

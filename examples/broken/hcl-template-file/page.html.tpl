<h1>${title}</h1>
<p>Release ${release}</p>
